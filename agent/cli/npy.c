/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/npy.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NPY_BYTES_MAX = 1 << 30, HEADER_BYTES_MAX = 4096 };

static const char *const descriptors[DTYPE_COUNT] = {
    [DTYPE_F32] = "<f4", [DTYPE_F16] = "<f2", [DTYPE_I8] = "|i1",  [DTYPE_U8] = "|u1",
    [DTYPE_I16] = "<i2", [DTYPE_I32] = "<i4", [DTYPE_I64] = "<i8", [DTYPE_BOOL] = "|b1",
    [DTYPE_U16] = "<u2", [DTYPE_U32] = "<u4", [DTYPE_U64] = "<u8",
};

static void shape_text(const struct tensor *tensor, char *text, size_t capacity)
{
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; i < tensor->shape.rank; i++)
        length += (size_t)snprintf(text + length, capacity - length, "%d,", tensor->shape.dims[i]);
}

/* The header is a Python literal; what is asked is whether it says exactly what the tensor is, so its values are compared as text. */
static bool header_fits(const char *header, const struct tensor *tensor)
{
    char expected[256], given[256];
    const char *type = strstr(header, "'descr':"), *order = strstr(header, "'fortran_order':"), *shape = strstr(header, "'shape':");
    if (type == NULL || order == NULL || shape == NULL || strstr(order, "False") == NULL)
        return false;
    const char *type_text = strchr(type + 8, '\''), *open = strchr(shape, '(');
    if (type_text == NULL || open == NULL || strncmp(type_text + 1, descriptors[tensor->dtype], 3) != 0)
        return false;
    size_t length = 0;
    for (const char *c = open + 1; *c != ')' && *c != '\0' && length < sizeof given - 2; c++) {
        if (*c != ' ')
            given[length++] = *c;
    }
    if (length > 0 && given[length - 1] != ',')
        given[length++] = ',';
    given[length] = '\0';
    shape_text(tensor, expected, sizeof expected);
    return strcmp(given, expected) == 0;
}

enum error_code npy_read(const char *path, struct tensor *tensor, struct error *error)
{
    struct file_map map;
    TRY(file_map_open(path, NPY_BYTES_MAX, &map, error));
    enum error_code code = ERROR_NONE;
    char header[HEADER_BYTES_MAX + 1];
    size_t fixed = map.bytes > 8 && map.data[6] == 2 ? 12 : 10, header_bytes = 0;
    if (map.bytes < fixed || memcmp(map.data, "\x93NUMPY", 6) != 0) {
        code = error_set(error, ERROR_INPUT, "%s: not a .npy file", path);
    } else {
        header_bytes = map.data[8] | (size_t)map.data[9] << 8;
        if (fixed == 12)
            header_bytes |= (size_t)map.data[10] << 16 | (size_t)map.data[11] << 24;
        if (header_bytes > HEADER_BYTES_MAX || header_bytes > map.bytes - fixed)
            code = error_set(error, ERROR_INPUT, "%s: a header of %zu bytes does not fit", path, header_bytes);
    }
    if (code == ERROR_NONE) {
        memcpy(header, map.data + fixed, header_bytes);
        header[header_bytes] = '\0';
        if (!header_fits(header, tensor) || map.bytes - fixed - header_bytes != tensor_bytes(tensor))
            code = error_set(error, ERROR_INPUT, "%s: %s: expected input \"%s\" as %s, C order, in its shape", path, header, tensor->name,
                             descriptors[tensor->dtype]);
        else
            memcpy(tensor->data, map.data + fixed + header_bytes, tensor_bytes(tensor));
    }
    file_map_close(&map);
    return code;
}

enum error_code npy_write(const char *path, const struct tensor *tensor, struct error *error)
{
    char shape[256], header[512];
    shape_text(tensor, shape, sizeof shape);
    int length = snprintf(header + 10, sizeof header - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descriptors[tensor->dtype], shape);
    size_t total = ((size_t)length + 10 + 1 + 63) / 64 * 64;
    memset(header + 10 + length, ' ', total - 11 - (size_t)length);
    header[total - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((total - 10) & 0xFF);
    header[9] = (char)((total - 10) >> 8);
    size_t data_bytes = tensor_bytes(tensor);
    char *whole = malloc(total + data_bytes);
    if (whole == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for %s", path);
    memcpy(whole, header, total);
    memcpy(whole + total, tensor->data, data_bytes);
    enum error_code code = file_replace(path, whole, total + data_bytes, error);
    free(whole);
    return code;
}
