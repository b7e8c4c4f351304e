/* Preloaded into the server: notes on what the disk was asked to keep.
 *
 * After a SIGKILL the page cache is still there, so a plain kill says nothing about power failure. This library writes a log
 * of the lengths that files had when they were synced; the harness then cuts each file of the data folder back to that length
 * and removes files that were never synced. Files are known by device and inode, so a rename needs no special care: the
 * inode keeps its history, whatever it is called.
 *
 * Log, one record a line, appended with one write(2) each:
 *   N dev ino          a file was created: nothing of it is durable
 *   S dev ino length   fsync or fdatasync returned; `length` was read before the call, so bytes appended meanwhile do not count
 *   T dev ino length   cut to `length`: nothing beyond it is durable any more
 *   F dev ino          the last name is gone: forget the inode, its number may come back
 *   D dev ino          a directory was synced
 *   I dev ino          a sync that the harness asked to overlook
 *   W name             something that may write to disk but promises no durability here: sync_file_range, msync, sync, syncfs
 *
 * What it does not model, deliberately: bytes overwritten in place after their sync (they stay), and renames and unlinks whose
 * directory was not synced (they stay done). Writes under O_SYNC and msync are not counted as durable: a server that
 * relied on them would be reported as losing data, never the other way round.
 *
 *   WARDSTEAD_SHIM_LOG             the log; without it the library only passes calls on
 *   WARDSTEAD_SHIM_SYNC_DELAY_MS   each fsync and fdatasync sleeps this long first
 *   WARDSTEAD_SHIM_IGNORE          syncs of files whose name ends so are noted as I: what a server without syncs looks like
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int log_fd = -1;
static long delay_ms;
static const char *ignored_suffix;
/* Held over a call that may free or take an inode number together with its record, so that the log shows them in order. */
static pthread_mutex_t names = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) {
        dprintf(STDERR_FILENO, "shim: no %s\n", name);
        abort();
    }
    return function;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("WARDSTEAD_SHIM_LOG");
    const char *delay = getenv("WARDSTEAD_SHIM_SYNC_DELAY_MS");
    if (!path)
        return;
    delay_ms = delay ? atol(delay) : 0;
    ignored_suffix = getenv("WARDSTEAD_SHIM_IGNORE");
    log_fd = REAL(open)(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log_fd < 0) {
        dprintf(STDERR_FILENO, "shim: cannot open %s: %s\n", path, strerror(errno));
        abort();
    }
}

/* A lost record would make the test lie, so it ends the process. */
static void note(const char *line, int length)
{
    int kept = errno;
    if (write(log_fd, line, (size_t)length) != length) {
        dprintf(STDERR_FILENO, "shim: cannot write its log: %s\n", strerror(errno));
        abort();
    }
    errno = kept;
}

static void note_file(char what, const struct stat *file)
{
    char line[80];
    note(line, snprintf(line, sizeof line, "%c %lu %lu\n", what, (unsigned long)file->st_dev, (unsigned long)file->st_ino));
}

static void note_length(char what, const struct stat *file, off_t length)
{
    char line[96];
    note(line, snprintf(line, sizeof line, "%c %lu %lu %ld\n", what, (unsigned long)file->st_dev,
                        (unsigned long)file->st_ino, (long)length));
}

static void note_name(const char *name)
{
    char line[64];
    if (log_fd >= 0)
        note(line, snprintf(line, sizeof line, "W %s\n", name));
}

static int overlooked(int fd)
{
    char link[64], path[PATH_MAX];
    if (!ignored_suffix)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    size_t suffix = strlen(ignored_suffix);
    return (size_t)length >= suffix && strcmp(path + length - suffix, ignored_suffix) == 0;
}

static int synced(int fd, int (*call)(int))
{
    struct stat before;
    if (log_fd < 0 || fstat(fd, &before) != 0)
        return call(fd);
    if (delay_ms > 0) {
        struct timespec rest = {delay_ms / 1000, delay_ms % 1000 * 1000000};
        while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
            ;
    }
    int result = call(fd);
    if (result == 0 && S_ISREG(before.st_mode)) {
        if (overlooked(fd))
            note_file('I', &before);
        else
            note_length('S', &before, before.st_size);
    } else if (result == 0 && S_ISDIR(before.st_mode)) {
        note_file('D', &before);
    }
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

/* State of a name before a call that may make or cut the file. */
struct look {
    int active, existed;
};

static struct look look_before(int at, const char *path, int flags)
{
    struct look look = {log_fd >= 0 && flags & (O_CREAT | O_TRUNC), 0};
    struct stat file;
    if (look.active) {
        pthread_mutex_lock(&names);
        int kept = errno;
        look.existed = fstatat(at, path, &file, 0) == 0;
        errno = kept;
    }
    return look;
}

static void look_after(struct look look, int fd, int flags)
{
    struct stat file;
    if (!look.active)
        return;
    if (fd >= 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode)) {
        if (!look.existed)
            note_file('N', &file);
        else if (flags & O_TRUNC)
            note_length('T', &file, 0);
    }
    pthread_mutex_unlock(&names);
}

static int needs_mode(int flags) { return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE; }

#define MODE(last)                                                                                                             \
    mode_t mode = 0;                                                                                                           \
    if (needs_mode(flags)) {                                                                                                   \
        va_list list;                                                                                                          \
        va_start(list, last);                                                                                                  \
        mode = va_arg(list, mode_t);                                                                                           \
        va_end(list);                                                                                                          \
    }

#define OPEN(name)                                                                                                             \
    int name(const char *path, int flags, ...)                                                                                 \
    {                                                                                                                          \
        MODE(flags)                                                                                                            \
        struct look look = look_before(AT_FDCWD, path, flags);                                                                 \
        int fd = REAL(name)(path, flags, mode);                                                                                \
        look_after(look, fd, flags);                                                                                           \
        return fd;                                                                                                             \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                           \
    int name(int at, const char *path, int flags, ...)                                                                         \
    {                                                                                                                          \
        MODE(flags)                                                                                                            \
        struct look look = look_before(at, path, flags);                                                                       \
        int fd = REAL(name)(at, path, flags, mode);                                                                            \
        look_after(look, fd, flags);                                                                                           \
        return fd;                                                                                                             \
    }
OPENAT(openat)
OPENAT(openat64)

#define CREAT(name)                                                                                                            \
    int name(const char *path, mode_t mode)                                                                                    \
    {                                                                                                                          \
        struct look look = look_before(AT_FDCWD, path, O_CREAT | O_TRUNC);                                                     \
        int fd = REAL(name)(path, mode);                                                                                       \
        look_after(look, fd, O_CREAT | O_TRUNC);                                                                               \
        return fd;                                                                                                             \
    }
CREAT(creat)
CREAT(creat64)

/* glibc's fopen opens inside itself, past the functions above. */
#define FOPEN(name)                                                                                                            \
    FILE *name(const char *path, const char *how)                                                                              \
    {                                                                                                                          \
        int flags = how[0] == 'w' ? O_CREAT | O_TRUNC : how[0] == 'a' ? O_CREAT : 0;                                           \
        struct look look = look_before(AT_FDCWD, path, flags);                                                                 \
        FILE *file = REAL(name)(path, how);                                                                                    \
        look_after(look, file ? fileno(file) : -1, flags);                                                                     \
        return file;                                                                                                           \
    }
FOPEN(fopen)
FOPEN(fopen64)

#define FTRUNCATE(name, length_t)                                                                                              \
    int name(int fd, length_t length)                                                                                          \
    {                                                                                                                          \
        struct stat file;                                                                                                      \
        int result = REAL(name)(fd, length);                                                                                   \
        if (log_fd >= 0 && result == 0 && fstat(fd, &file) == 0)                                                               \
            note_length('T', &file, length);                                                                                   \
        return result;                                                                                                         \
    }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

#define TRUNCATE(name, length_t)                                                                                               \
    int name(const char *path, length_t length)                                                                                \
    {                                                                                                                          \
        struct stat file;                                                                                                      \
        int result = REAL(name)(path, length);                                                                                 \
        if (log_fd >= 0 && result == 0 && stat(path, &file) == 0)                                                              \
            note_length('T', &file, length);                                                                                   \
        return result;                                                                                                         \
    }
TRUNCATE(truncate, off_t)
TRUNCATE(truncate64, off64_t)

/* Runs a call after which `path` no longer names the inode it names now. */
#define LOSING_A_NAME(at, path, call)                                                                                          \
    struct stat lost = {0};                                                                                                    \
    if (log_fd < 0)                                                                                                            \
        return call;                                                                                                           \
    pthread_mutex_lock(&names);                                                                                                \
    int kept = errno;                                                                                                          \
    int known = fstatat(at, path, &lost, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(lost.st_mode) && lost.st_nlink == 1;             \
    errno = kept;                                                                                                              \
    int result = call;                                                                                                         \
    if (result == 0 && known)                                                                                                  \
        note_file('F', &lost);                                                                                                 \
    pthread_mutex_unlock(&names);                                                                                              \
    return result;

int unlink(const char *path)
{
    LOSING_A_NAME(AT_FDCWD, path, REAL(unlink)(path))
}

int unlinkat(int at, const char *path, int flags)
{
    LOSING_A_NAME(at, path, REAL(unlinkat)(at, path, flags))
}

int rename(const char *from, const char *to)
{
    LOSING_A_NAME(AT_FDCWD, to, REAL(rename)(from, to))
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    LOSING_A_NAME(to_at, to, REAL(renameat)(from_at, from, to_at, to))
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned int flags)
{
    if (flags & RENAME_EXCHANGE)
        return REAL(renameat2)(from_at, from, to_at, to, flags);
    LOSING_A_NAME(to_at, to, REAL(renameat2)(from_at, from, to_at, to, flags))
}

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags)
{
    note_name("sync_file_range");
    return REAL(sync_file_range)(fd, offset, length, flags);
}

int msync(void *start, size_t length, int flags)
{
    note_name("msync");
    return REAL(msync)(start, length, flags);
}

void sync(void)
{
    note_name("sync");
    REAL(sync)();
}

int syncfs(int fd)
{
    note_name("syncfs");
    return REAL(syncfs)(fd);
}
