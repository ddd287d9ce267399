/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h: what a gateway owner may set, checked, as plain structs.
 *
 * Every key, its type, range, default and help stands once, in schema.c; the parser, the errors, the commented default file, the
 * documentation and the structs' defaults come from there.
 * Merging: conf.d/<name>.yaml beside the main file, in name order, after it: a map's keys replace those of earlier files, lists are
 *   replaced whole, except `pipelines`, where an entry replaces the one of the same name or is added.
 * Ownership: a config owns all its strings and lists; immutable once opened; may be read by any thread.
 * Errors: ERROR_CONFIG with one line per problem, up to CONFIG_ERRORS_MAX: "file:line:column: what, expected what". */
#ifndef EDDY_CONFIG_CONFIG_H
#define EDDY_CONFIG_CONFIG_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CONFIG_FIELDS_MAX = 64 }; /* fields of a series */

struct config_broker {
    const char *url;           /* mqtt:// mqtts:// ws:// wss://; NULL: none */
    const char **urls;         /* upstream: all of them where a list was given, url the first */
    int32_t url_count;
    int64_t bandwidth;         /* upstream: bytes of results a second; 0: no limit */
    const char **bandwidth_windows; /* upstream: at times another one, see bandwidth.h */
    int32_t bandwidth_window_count;
    const char *user;          /* NULL: none */
    const char *password_file; /* its first line; NULL: none */
    const char *ca, *cert, *key; /* PEM files; NULL: the system's CAs, no client certificate */
    int32_t keep_alive_s;      /* 30 */
    int32_t receive_maximum;   /* inputs unacknowledged at once (local): 256 */
    int64_t session_expiry_s;  /* persistent session (local): 86400 */
};

enum input_kind { INPUT_IMAGE, INPUT_SERIES };
enum series_format { SERIES_JSON, SERIES_CSV, SERIES_CBOR, SERIES_F32LE };
enum cache_mode { CACHE_OFF, CACHE_EXACT, CACHE_NEAR };
enum egress { EGRESS_RESULTS, EGRESS_CROPS, EGRESS_SNAPSHOTS };
enum report { REPORT_ALWAYS, REPORT_CHANGE, REPORT_INTERVAL };
enum keep { KEEP_NEWEST, KEEP_IMPORTANT };
enum priority { PRIORITY_NORMAL, PRIORITY_HIGH };
enum compression { COMPRESSION_NONE, COMPRESSION_LZ4, COMPRESSION_LZ4HC };

struct config_pipeline {
    const char *name;          /* [a-z0-9_-]{1,64}: a topic level */
    const char **topics;       /* MQTT filters */
    int32_t topic_count;
    int32_t qos;               /* of the subscription: 1 */
    struct {
        enum input_kind kind;
        int32_t max_pixels;    /* image: width x height that is still decoded: 50,000,000 */
        enum series_format format;
        const char **fields;   /* JSON Pointers (json, cbor), column names or "#2" (csv); f32le: field_count interleaved floats */
        int32_t field_count;
        int32_t window, hop;   /* samples; hop 0: the window */
        int64_t gap_us;        /* silence of a source after which its window starts anew; 0: never */
        const char *time_field; /* JSON Pointer or column of the sample's time (seconds, ms, us or RFC 3339); NULL: arrival */
        char delimiter;        /* csv: ',' */
        bool header;           /* csv: each message begins with a line of names */
    } input;
    int64_t max_message_bytes; /* larger inputs become error results: 32 MiB image, 1 MiB series */
    const char *model;         /* name or name@version */
    struct {
        enum cache_mode mode;
        int64_t ttl_us, max_bytes;
        double max_disagreement, start_distance; /* near alone; 0 in other modes */
    } cache;
    enum egress egress;
    struct {                   /* images that leave: egress crops and snapshots */
        bool anomalies;        /* of results that are anomalies */
        double below;          /* of labels or objects with a score below; 0: never */
        int32_t every;         /* of every Nth input; 0: never */
        int64_t max_bytes;     /* of one image */
        const char **redact;   /* labels whose boxes are pixelated */
        int32_t redact_count;
    } images;
    struct {
        int32_t batch;         /* results */
        int64_t linger_us, max_bytes, compress_above;
        enum compression compression;
        enum priority priority;
        enum report on;        /* which results are sent at all */
        int64_t every_us;      /* change: at the latest; interval: at the earliest; 0: never */
        double deadband;       /* change: scores that differ by no more are equal */
        bool same_as;          /* refer to an earlier equal result */
    } sink;
};

struct config {
    struct {
        const char *id;        /* topic level; default: the host name */
        const char *state_dir;
        int32_t workers;       /* inference workers */
        int32_t threads;       /* per worker; 0: auto */
        int64_t input_bytes_max;
        int64_t health_interval_us;
        const char *log_level;
    } agent;
    struct config_broker local, upstream;
    const char *models_dir;
    struct {
        int64_t max_bytes;     /* disk budget: 256 MiB */
        enum keep keep;        /* what stays when the budget is used up */
        double low_confidence; /* important: a label or object below this score is kept */
        int64_t daily_writes;  /* bytes to the disk that commits are made rarer for; 0: no limit */
        double live_share;     /* of the link, for new results while old ones wait: 50 % */
    } outbox;
    struct { int64_t memory_bytes; double core_watts; } cache; /* RAM front of all pipelines together: 8 MiB; 2 W */
    struct config_pipeline *pipelines;
    int32_t pipeline_count;
};

enum { CONFIG_ERRORS_MAX = 20, CONFIG_REPORT_BYTES = 8192 };

/* report: all problems, one a line (may be NULL); error: the first of them. */
MUST_CHECK enum error_code config_open(const char *path, struct config **config_out, char report[CONFIG_REPORT_BYTES], struct error *error);
/* The same for one text in memory, without conf.d; name stands in messages. */
MUST_CHECK enum error_code config_parse(const char *name, const void *bytes, size_t length, struct config **config_out,
                                        char report[CONFIG_REPORT_BYTES], struct error *error);
void config_close(struct config *config); /* NULL is fine */

void config_print_sample(FILE *file);    /* the commented default file; itself a valid config */
void config_print_reference(FILE *file); /* docs/configuration.md, from the same table */
void config_print_man(FILE *file);       /* docs/man/eddy.yaml.5, from the same table */

#endif
