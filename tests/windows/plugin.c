// A monitoring plugin for the smoke: says that all is well, or hangs together with a program that it has started.
#include <stdio.h>
#include <string.h>
#include <windows.h>

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "hang")) {
        char line[MAX_PATH + 16];
        STARTUPINFOA start = {sizeof start};
        PROCESS_INFORMATION child;
        snprintf(line, sizeof line, "\"%s\" sleep", argv[0]);
        CreateProcessA(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &start, &child);
        Sleep(600000);
    }
    if (argc > 1 && !strcmp(argv[1], "sleep")) Sleep(600000);
    printf("RAID OK: %s | 'disks'=2;;;0;2 time=0.1s\n", argc > 1 ? argv[1] : "");
    return 0;
}
