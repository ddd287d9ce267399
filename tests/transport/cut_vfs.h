/* SPDX-License-Identifier: Apache-2.0
 *
 * cut_vfs.h: an SQLite VFS that knows what a disk would hold if the power failed now.
 *
 * It passes everything on to the ordinary VFS and keeps, for each file, the content as of its last sync and the writes since. At a chosen
 * operation (write, truncation or sync) it writes an image of all files to another folder: the synced content and, of what came since, each
 * sector of 512 bytes or not, as chance has it: so writes are lost, torn and out of order. Creating and deleting files is taken to be durable.
 * One thread, one database at a time. */
#ifndef EDDY_TESTS_TRANSPORT_CUT_VFS_H
#define EDDY_TESTS_TRANSPORT_CUT_VFS_H

#include "tests/check.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>

enum { CUT_FILES_MAX = 8, CUT_SECTOR = 512 };

struct cut_operation {
    sqlite3_int64 offset;
    size_t bytes;
    uint8_t *data;       /* NULL: a truncation to offset */
};

struct cut_shadow {
    char path[PATH_MAX];
    uint8_t *synced;
    size_t synced_bytes;
    struct cut_operation *operations;
    int operation_count, operation_capacity;
};

static struct {
    sqlite3_vfs vfs, *real;
    struct cut_shadow files[CUT_FILES_MAX];
    char image_folder[PATH_MAX];
    unsigned random;
    int operations_until_cut;            /* < 0: never */
    bool lies;                           /* syncs do nothing */
    int syncs;
    void (*on_cut)(void);
} cut;

struct cut_file {
    sqlite3_file base;
    struct cut_shadow *shadow;           /* NULL: a temporary file */
    sqlite3_file *real;                  /* behind this struct */
};

static inline void cut_clear(struct cut_shadow *shadow)
{
    for (int i = 0; i < shadow->operation_count; i++)
        free(shadow->operations[i].data);
    shadow->operation_count = 0;
}

static inline void cut_forget(struct cut_shadow *shadow)
{
    cut_clear(shadow);
    free(shadow->operations);
    free(shadow->synced);
    *shadow = (struct cut_shadow){0};
}

static inline void cut_resize(uint8_t **bytes, size_t *length, size_t wanted)
{
    if (wanted > *length) {
        *bytes = realloc(*bytes, wanted);
        memset(*bytes + *length, 0, wanted - *length);
    }
    *length = wanted;
}

static inline void cut_apply(const struct cut_operation *operation, bool all, uint8_t **bytes, size_t *length)
{
    if (operation->data == NULL) {
        if (all || rand_r(&cut.random) % 2 == 0)
            cut_resize(bytes, length, (size_t)operation->offset);
        return;
    }
    for (size_t at = 0; at < operation->bytes; at += CUT_SECTOR) {
        size_t count = operation->bytes - at < CUT_SECTOR ? operation->bytes - at : CUT_SECTOR, from = (size_t)operation->offset + at;
        if (!all && rand_r(&cut.random) % 2 == 0)
            continue;
        if (from + count > *length)
            cut_resize(bytes, length, from + count);
        memcpy(*bytes + from, operation->data + at, count);
    }
}

static inline void cut_write_image(void)
{
    for (int i = 0; i < CUT_FILES_MAX; i++) {
        struct cut_shadow *shadow = &cut.files[i];
        if (shadow->path[0] == '\0')
            continue;
        size_t length = 0;
        uint8_t *bytes = NULL;
        char path[2 * PATH_MAX];
        cut_resize(&bytes, &length, shadow->synced_bytes);
        if (length > 0)
            memcpy(bytes, shadow->synced, length);
        for (int k = 0; k < shadow->operation_count; k++)
            cut_apply(&shadow->operations[k], false, &bytes, &length);
        snprintf(path, sizeof path, "%s/%s", cut.image_folder, strrchr(shadow->path, '/') + 1);
        FILE *file = fopen(path, "w");
        if (file != NULL) {
            if (length > 0)
                fwrite(bytes, 1, length, file);
            fclose(file);
        }
        free(bytes);
    }
    if (cut.on_cut != NULL)
        cut.on_cut();
}

static inline void cut_count(void)
{
    if (cut.operations_until_cut >= 0 && cut.operations_until_cut-- == 0)
        cut_write_image();
}

static inline void cut_note(struct cut_shadow *shadow, sqlite3_int64 offset, const void *data, size_t bytes)
{
    cut_count();
    if (shadow->operation_count == shadow->operation_capacity) {
        shadow->operation_capacity = shadow->operation_capacity * 2 + 64;
        shadow->operations = realloc(shadow->operations, (size_t)shadow->operation_capacity * sizeof shadow->operations[0]);
    }
    struct cut_operation *operation = &shadow->operations[shadow->operation_count++];
    *operation = (struct cut_operation){.offset = offset, .bytes = bytes, .data = data != NULL ? malloc(bytes) : NULL};
    if (data != NULL)
        memcpy(operation->data, data, bytes);
}

#define CUT_REAL(file) (((struct cut_file *)(void *)(file))->real)
#define CUT_SHADOW(file) (((struct cut_file *)(void *)(file))->shadow)

static int cut_close(sqlite3_file *file)
{
    return CUT_REAL(file)->pMethods->xClose(CUT_REAL(file));
}

static int cut_read(sqlite3_file *file, void *data, int bytes, sqlite3_int64 offset)
{
    return CUT_REAL(file)->pMethods->xRead(CUT_REAL(file), data, bytes, offset);
}

static int cut_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 offset)
{
    if (CUT_SHADOW(file) != NULL)
        cut_note(CUT_SHADOW(file), offset, data, (size_t)bytes);
    return CUT_REAL(file)->pMethods->xWrite(CUT_REAL(file), data, bytes, offset);
}

static int cut_truncate(sqlite3_file *file, sqlite3_int64 bytes)
{
    if (CUT_SHADOW(file) != NULL)
        cut_note(CUT_SHADOW(file), bytes, NULL, 0);
    return CUT_REAL(file)->pMethods->xTruncate(CUT_REAL(file), bytes);
}

static int cut_sync(sqlite3_file *file, int flags)
{
    struct cut_shadow *shadow = CUT_SHADOW(file);
    cut.syncs++;
    (void)flags; /* the files lie in a temporary folder: nothing needs to be synced for real */
    cut_count();
    for (int i = 0; shadow != NULL && !cut.lies && i < shadow->operation_count; i++)
        cut_apply(&shadow->operations[i], true, &shadow->synced, &shadow->synced_bytes);
    if (shadow != NULL && !cut.lies)
        cut_clear(shadow);
    return SQLITE_OK;
}

static int cut_size(sqlite3_file *file, sqlite3_int64 *bytes)
{
    return CUT_REAL(file)->pMethods->xFileSize(CUT_REAL(file), bytes);
}

static int cut_lock(sqlite3_file *file, int level)
{
    return CUT_REAL(file)->pMethods->xLock(CUT_REAL(file), level);
}

static int cut_unlock(sqlite3_file *file, int level)
{
    return CUT_REAL(file)->pMethods->xUnlock(CUT_REAL(file), level);
}

static int cut_reserved(sqlite3_file *file, int *result)
{
    return CUT_REAL(file)->pMethods->xCheckReservedLock(CUT_REAL(file), result);
}

static int cut_control(sqlite3_file *file, int operation, void *argument)
{
    return CUT_REAL(file)->pMethods->xFileControl(CUT_REAL(file), operation, argument);
}

static int cut_sector_size(sqlite3_file *file)
{
    (void)file;
    return CUT_SECTOR;
}

static int cut_characteristics(sqlite3_file *file)
{
    (void)file;
    return 0; /* no write is atomic, no order is kept, a sector written beside another is not safe */
}

/* Version 1: without shared memory, which a WAL in exclusive locking mode does not need. */
static const sqlite3_io_methods cut_methods = {1, cut_close, cut_read, cut_write, cut_truncate, cut_sync, cut_size, cut_lock, cut_unlock, cut_reserved,
                                               cut_control, cut_sector_size, cut_characteristics, NULL, NULL, NULL, NULL, NULL, NULL};

static struct cut_shadow *cut_shadow_of(const char *path)
{
    struct cut_shadow *free_one = NULL;
    for (int i = 0; i < CUT_FILES_MAX; i++) {
        if (strcmp(cut.files[i].path, path) == 0)
            return &cut.files[i];
        if (cut.files[i].path[0] == '\0')
            free_one = &cut.files[i];
    }
    if (free_one != NULL)
        snprintf(free_one->path, sizeof free_one->path, "%s", path);
    return free_one;
}

static int cut_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *flags_out)
{
    (void)vfs;
    struct cut_file *opened = (struct cut_file *)(void *)file;
    opened->real = (sqlite3_file *)(void *)(opened + 1);
    opened->shadow = path != NULL ? cut_shadow_of(path) : NULL;
    int status = cut.real->xOpen(cut.real, path, opened->real, flags, flags_out);
    opened->base.pMethods = status == SQLITE_OK ? &cut_methods : NULL;
    return status;
}

static int cut_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    (void)vfs;
    for (int i = 0; i < CUT_FILES_MAX; i++) {
        if (strcmp(cut.files[i].path, path) == 0)
            cut_forget(&cut.files[i]);
    }
    return cut.real->xDelete(cut.real, path, sync_folder);
}

static inline void cut_install(void)
{
    cut.real = sqlite3_vfs_find(NULL);
    cut.vfs = *cut.real;
    cut.vfs.zName = "cut";
    cut.vfs.szOsFile = (int)sizeof(struct cut_file) + cut.real->szOsFile;
    cut.vfs.xOpen = cut_open;
    cut.vfs.xDelete = cut_delete;
    sqlite3_vfs_register(&cut.vfs, 1);
}

static inline void cut_remove(void)
{
    sqlite3_vfs_unregister(&cut.vfs);
    for (int i = 0; i < CUT_FILES_MAX; i++)
        cut_forget(&cut.files[i]);
}

#endif
