#!/bin/bash
# systemd-boot.sh TREE CGROUP: boots the Debian tree with the real systemd as process 1 in namespaces of its own (pid,
# mount, uts, ipc, net, cgroup) and ends with it. Needs root; the host's mounts and control groups stay as they are.
#
# The process joins its control group before the cgroup namespace begins: otherwise systemd ignores sd_notify.
set -u
exec unshare --mount --pid --fork --uts --ipc --net --kill-child bash -c '
    set -e
    tree=$1 group=$2
    mount --make-rprivate /
    mount --bind "$tree" "$tree"
    cd "$tree"
    mkdir -p run sys/fs/cgroup tmp proc dev
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t tmpfs tmpfs run
    mount -t tmpfs tmpfs tmp
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mkdir -p "sys/fs/cgroup/$group"
    echo $$ > "sys/fs/cgroup/$group/cgroup.procs"
    umount sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs dev
    for device in null zero full random urandom tty; do touch "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
    mkdir -p dev/shm dev/pts
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -sf /proc/self/fd dev/fd
    touch dev/console
    exec unshare --cgroup bash -c "mount -t cgroup2 cgroup2 sys/fs/cgroup
        exec chroot . /usr/bin/env -i container=upheld PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init --log-target=console --log-level=notice </dev/null"
' _ "$1" "$2"
