/* Writes files in the ways that matter to the shim, then kills itself. `kill shim` knows what must be left of each. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void must(int good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static int make(const char *path, int flags)
{
    int fd = open(path, O_RDWR | O_CREAT | flags, 0600);
    must(fd >= 0, path);
    return fd;
}

static void put(int fd, size_t count)
{
    char bytes[4096];
    memset(bytes, 'x', sizeof bytes);
    must(write(fd, bytes, count) == (ssize_t)count, "write");
}

static void lengths(void)
{
    int fd = make("tail-unsynced", 0);
    put(fd, 100), must(fsync(fd) == 0, "fsync"), put(fd, 50);
    put(make("never-synced", 0), 100);
    fd = make("all-synced", 0);
    put(fd, 100), must(fdatasync(fd) == 0, "fdatasync");
    fd = make("only-written-back", 0);
    put(fd, 100), must(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0, "sync_file_range");
    fd = make("preallocated", 0);
    fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20);
    put(fd, 10), must(fdatasync(fd) == 0, "fdatasync"), put(fd, 10);
    FILE *file = fopen("through-stdio", "w");
    must(file && fputs("0123456789", file) >= 0 && fflush(file) == 0 && fsync(fileno(file)) == 0, "stdio");
    must(fputs("0123456789", file) >= 0 && fflush(file) == 0, "stdio");
}

static void cuts(void)
{
    int fd = make("truncated", 0);
    put(fd, 100), must(fsync(fd) == 0, "fsync"), must(ftruncate(fd, 40) == 0, "ftruncate");
    must(lseek(fd, 0, SEEK_END) == 40, "lseek"), put(fd, 30);
    fd = make("opened-anew", 0);
    put(fd, 100), must(fsync(fd) == 0, "fsync"), close(fd);
    put(make("opened-anew", O_TRUNC), 5);
}

static void names(void)
{
    int fd = make("renamed.part", 0);
    put(fd, 100), must(fsync(fd) == 0, "fsync"), must(rename("renamed.part", "renamed") == 0, "rename");
    fd = make("replaced", 0);
    put(fd, 10), must(fsync(fd) == 0, "fsync"), close(fd);
    put(make("replaced.part", 0), 20), must(rename("replaced.part", "replaced") == 0, "rename");
    for (int round = 0; round < 20; round++) { /* an inode number that comes back must not bring its old length */
        fd = make("inode-reused", 0);
        put(fd, 100), must(fsync(fd) == 0, "fsync"), must(unlink("inode-reused") == 0, "unlink"), close(fd);
    }
    put(make("inode-reused", 0), 100);
}

static void other_ways(void)
{
    int fd = make("mapped", 0);
    put(fd, 100);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(map != MAP_FAILED, "mmap"), memset(map, 'y', 100), must(msync(map, 4096, MS_SYNC) == 0, "msync");
    void *block;
    must(posix_memalign(&block, 4096, 4096) == 0, "posix_memalign");
    memset(block, 'z', 4096);
    fd = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0600);
    if (fd < 0) /* tmpfs before Linux 6.6 */
        fd = make("direct", 0);
    must(pwrite(fd, block, 4096, 0) == 4096 && fdatasync(fd) == 0 && pwrite(fd, block, 4096, 4096) == 4096, "direct");
}

int main(int count, char **arguments)
{
    must(count == 2 && chdir(arguments[1]) == 0, "usage: writer FOLDER");
    lengths();
    cuts();
    names();
    other_ways();
    raise(SIGKILL);
    return 1;
}
