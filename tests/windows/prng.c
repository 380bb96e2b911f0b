/* bcryptprimitives.dll for a wine that has none (before 9): the one function of it that Rust's standard library calls.
   Only tests/windows/smoke.sh builds it; a Windows has its own. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
    return SystemFunction036(buffer, (ULONG)length);
}
