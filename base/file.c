/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum error_code open_map(const char *path, size_t bytes_max, bool own, struct file_map *map_out, struct error *error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_set(error, ERROR_INPUT, "%s: cannot open: %s", path, strerror(errno));
    enum error_code code = ERROR_NONE;
    struct file_map map = {0};
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        code = error_set(error, ERROR_INPUT, "%s: cannot read its size: %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        code = error_set(error, ERROR_INPUT, "%s: expected a regular file", path);
    } else if (own && ((status.st_uid != geteuid() && status.st_uid != 0) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)) {
        code = error_set(error, ERROR_INPUT, "%s: somebody else may write to it", path);
    } else if ((uint64_t)status.st_size > bytes_max) {
        code = error_set(error, ERROR_LIMIT, "%s: %lld bytes, at most %zu are taken", path, (long long)status.st_size, bytes_max);
    } else if (status.st_size > 0) {
        void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | (own ? MAP_POPULATE : 0), descriptor, 0);
        if (data == MAP_FAILED)
            code = error_set(error, ERROR_INPUT, "%s: cannot map: %s", path, strerror(errno));
        else
            map = (struct file_map){.data = data, .bytes = (size_t)status.st_size};
    }
    close(descriptor);
    if (code == ERROR_NONE)
        *map_out = map;
    return code;
}

enum error_code file_map_open(const char *path, size_t bytes_max, struct file_map *map_out, struct error *error)
{
    return open_map(path, bytes_max, false, map_out, error);
}

enum error_code file_map_open_own(const char *path, size_t bytes_max, struct file_map *map_out, struct error *error)
{
    return open_map(path, bytes_max, true, map_out, error);
}

void file_map_forget(const void *data, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t last = ((uintptr_t)data + bytes) / page * page;
    if (first < last)
        (void)madvise((void *)first, last - first, MADV_DONTNEED);
}

void file_map_close(struct file_map *map)
{
    if (map->bytes > 0)
        munmap((void *)(uintptr_t)map->data, map->bytes);
    *map = (struct file_map){0};
}

static int write_all(int descriptor, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(descriptor, data, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        data += written;
        bytes -= (size_t)written;
    }
    return 0;
}

static enum error_code replace(const char *path, const char *temporary, const struct file_piece *pieces, size_t count, bool synced,
                               struct error *error)
{
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (synced ? O_TRUNC : O_EXCL), 0640);
    if (descriptor < 0)
        return error_set(error, ERROR_STORAGE, "%s: cannot create: %s", temporary, strerror(errno));
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++)
        failed = write_all(descriptor, pieces[i].data, pieces[i].bytes) != 0;
    failed = failed || (synced && fsync(descriptor) != 0);
    int cause = errno;
    close(descriptor);
    if (!failed && rename(temporary, path) != 0) {
        failed = 1;
        cause = errno;
    }
    if (!failed)
        return ERROR_NONE;
    unlink(temporary);
    return error_set(error, ERROR_STORAGE, "%s: cannot write: %s", path, strerror(cause));
}

enum error_code file_replace(const char *path, const void *data, size_t bytes, struct error *error)
{
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp", path) >= sizeof temporary)
        return error_set(error, ERROR_STORAGE, "%s: path too long", path);
    return replace(path, temporary, &(struct file_piece){data, bytes}, 1, true, error);
}

enum error_code file_replace_pieces(const char *path, const struct file_piece *pieces, size_t count, struct error *error)
{
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid()) >= sizeof temporary)
        return error_set(error, ERROR_STORAGE, "%s: path too long", path);
    return replace(path, temporary, pieces, count, false, error);
}
