/* Preloaded into a broker: its writes to files find no room, or take long, as a page says that it shares with the run.

   Sockets and pipes are left alone, and so is what it prints. Memory that is mapped is not seen, but when it is synced. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* As tests/chaos/disk.py packs it. room: so many bytes are left, below 0 enough; delay: of each write and sync. */
static struct disk {
    int64_t room, delay_us;
} *disk;

__attribute__((constructor)) static void begin(void) {
    int fd = open(getenv("HERALD_TEST_DISK"), O_RDWR);
    void *page = mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        abort();
    close(fd);
    disk = page;
}

static void wait_for_it(void) {
    int64_t delay = disk ? __atomic_load_n(&disk->delay_us, __ATOMIC_SEQ_CST) : 0;
    if (delay > 0)
        usleep(delay);
}

/* How much of it there is room for. */
static size_t fits(int fd, size_t count) {
    struct stat about;
    if (!disk || (disk->room < 0 && !disk->delay_us) || fd <= 2 || fstat(fd, &about) || !S_ISREG(about.st_mode))
        return count;
    wait_for_it();
    int64_t room = __atomic_load_n(&disk->room, __ATOMIC_SEQ_CST);
    while (room >= 0) {
        int64_t taken = room < (int64_t)count ? room : (int64_t)count;
        if (__atomic_compare_exchange_n(&disk->room, &room, room - taken, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return taken;
    }
    return count;
}

static ssize_t full(void) {
    errno = ENOSPC;
    return -1;
}

ssize_t write(int fd, const void *from, size_t count) {
    size_t some = fits(fd, count);
    return some || !count ? syscall(SYS_write, fd, from, some) : full();
}

ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
    size_t some = fits(fd, count);
    return some || !count ? syscall(SYS_pwrite64, fd, from, some, at) : full();
}

ssize_t pwrite(int fd, const void *from, size_t count, off_t at) {
    return pwrite64(fd, from, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int many) {
    size_t count = 0;
    for (int i = 0; i < many; i++)
        count += parts[i].iov_len;
    return fits(fd, count) == count ? syscall(SYS_writev, fd, parts, many) : full();
}

int fsync(int fd) {
    wait_for_it();
    return syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    wait_for_it();
    return syscall(SYS_fdatasync, fd);
}

int msync(void *from, size_t count, int flags) {
    wait_for_it();
    return syscall(SYS_msync, from, count, flags);
}
