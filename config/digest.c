/* SPDX-License-Identifier: Apache-2.0 */
#include "config/digest.h"

#include "base/file.h"

#include <openssl/evp.h>
#include <stdio.h>

enum error_code digest_file(const char *path, char text_out[DIGEST_TEXT_BYTES], struct error *error)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int bytes = 0;
    struct file_map map;
    TRY(file_map_open(path, (size_t)1 << 31, &map, error));
    int done = EVP_Digest(map.bytes > 0 ? map.data : (const void *)"", map.bytes, digest, &bytes, EVP_sha256(), NULL);
    file_map_close(&map);
    if (done != 1 || bytes != 32)
        return error_set(error, ERROR_INTERNAL, "%s: libcrypto cannot compute SHA-256", path);
    for (int i = 0; i < 32; i++)
        snprintf(text_out + 2 * i, 3, "%02x", digest[i]);
    return ERROR_NONE;
}
