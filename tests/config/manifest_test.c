/* SPDX-License-Identifier: Apache-2.0 */
#include "config/manifest.h"
#include "config/version.h"
#include "tests/config/config_support.h"

#define SHA_OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define HEAD "name: face\nversion: 1.0.0\ntask: detection\nfile: face.onnx\n"
#define OUTPUT "output: { decode: boxes }\n"

static struct error error;

static struct manifest *read_manifest(const char *yaml)
{
    struct manifest *manifest = NULL;
    support_write("bundle/model.yaml", yaml);
    CHECK_OK(manifest_open("bundle", &manifest, &error), error);
    return manifest;
}

static const char *refusal(const char *yaml)
{
    struct manifest *manifest = NULL;
    error = (struct error){0};
    support_write("bundle/model.yaml", yaml);
    enum error_code code = manifest_open("bundle", &manifest, &error);
    manifest_close(manifest);
    CHECK_INTEGER(code, error.code);
    return code == ERROR_NONE ? "accepted" : error.message;
}

static void contract_example_is_read(void)
{
    support_write("bundle/labels.txt", "face\r\n\nnose\n\n");
    struct manifest *manifest = read_manifest(
        HEAD "labels: labels.txt              # one a line; or a list here\nlicense: MIT\nsha256: " SHA_OF_ABC "\n"
             "input:\n  color: rgb\n  resize: stretch\n  pad: 114\n  mean: [127, 127, 127]\n  std: [128, 128, 128]\n"
             "output:\n  decode: boxes\n  activation: none\n  threshold: 0.7\n  iou: 0.3\n  top: 5\n");
    CHECK_TEXT(manifest->name, "face");
    CHECK_TEXT(manifest->version, "1.0.0");
    CHECK_TEXT(manifest->model_path, "bundle/face.onnx");
    CHECK_TEXT(manifest->sha256, SHA_OF_ABC);
    CHECK_INTEGER(manifest->task, TASK_DETECTION);
    CHECK_INTEGER(manifest->label_count, 3);
    CHECK_TEXT(manifest->labels[0], "face");
    CHECK_TEXT(manifest->labels[1], "");
    CHECK_TEXT(manifest->labels[2], "nose");
    CHECK(manifest->input.mean[2] == 127.0f && manifest->input.std[0] == 128.0f);
    CHECK(manifest->output.threshold == 0.7f && manifest->output.iou == 0.3f);
    CHECK_INTEGER(manifest->output.decode, DECODE_BOXES);
    manifest_close(manifest);
}

static void what_is_not_said_has_defaults(void)
{
    struct manifest *manifest = read_manifest("name: c\nversion: 2\ntask: classification\nfile: face.onnx\n");
    CHECK_TEXT(manifest->sha256, SHA_OF_ABC);
    CHECK_INTEGER(manifest->label_count, 0);
    CHECK_INTEGER(manifest->output.decode, DECODE_CLASSES);
    CHECK_INTEGER(manifest->output.top, 5);
    CHECK(manifest->output.threshold == 0.0f);
    CHECK(manifest->input.mean[1] == 0.0f && manifest->input.std[2] == 1.0f);
    CHECK(manifest->license == NULL && manifest->input.normalize_mean == NULL);
    manifest_close(manifest);
}

static void series_manifest_is_read(void)
{
    struct manifest *manifest = read_manifest("name: ae\nversion: 1.0.0\ntask: anomaly\nfile: face.onnx\nlabels: [a, b]\n"
                                              "description: |\n  two\n  lines\n"
                                              "input: { fields: 3, window: 64, normalize: { mean: [1, 2, 3.5] } }\n"
                                              "output: { decode: reconstruction, threshold: 0.25 }\n");
    CHECK_INTEGER(manifest->input.fields, 3);
    CHECK_INTEGER(manifest->input.window, 64);
    CHECK(manifest->input.normalize_mean[2] == 3.5f && manifest->input.normalize_std[2] == 1.0f);
    CHECK_TEXT(manifest->labels[1], "b");
    CHECK_TEXT(manifest->description, "two\nlines\n");
    CHECK(manifest->output.threshold == 0.25f);
    manifest_close(manifest);
}

static void wrong_manifests_are_refused_in_words(void)
{
    CHECK_TEXT(refusal(HEAD "sha256: " SHA_OF_ABC "\nfiles: x\n" OUTPUT), "bundle/model.yaml:6:1: files is not a known key, expected file");
    CHECK_TEXT(refusal("name: face\n"), "bundle/model.yaml:1:1: version is missing, expected a version such as 1.0.0");
    CHECK_TEXT(refusal("name: ../x\n" OUTPUT),
               "bundle/model.yaml:1:1: version is missing, expected a version such as 1.0.0");
    CHECK_TEXT(refusal("name: a b\nversion: 1\ntask: raw\nfile: face.onnx\n"),
               "bundle/model.yaml:1:7: name is \"a b\", expected 1 to 79 of the characters A-Z a-z 0-9 . _ -");
    CHECK_TEXT(refusal("name: a\nversion: 1\ntask: raw\nfile: ../face.onnx\n"),
               "bundle/model.yaml:4:7: file is \"../face.onnx\", expected the name of a file in the bundle's folder, without /");
    CHECK_TEXT(refusal(HEAD "labels: ../labels.txt\n" OUTPUT),
               "bundle/model.yaml: labels is \"../labels.txt\", expected the name of a file in the bundle's folder, without /");
    CHECK_TEXT(refusal(HEAD "sha256: 12\n" OUTPUT),
               "bundle/model.yaml:5:9: sha256 is \"12\", expected 64 hexadecimal digits, as sha256sum prints them");
    CHECK_TEXT(refusal(HEAD),
               "bundle/model.yaml:1:1: output.decode is missing, expected one of boxes, ssd, yolox, nanodet for task detection");
    CHECK_TEXT(refusal(HEAD "output: { decode: classes }\n"),
               "bundle/model.yaml:5:19: output.decode does not fit task detection, expected one of boxes, ssd, yolox, nanodet");
    CHECK_TEXT(refusal(HEAD OUTPUT "input: { std: 0 }\n"),
               "bundle/model.yaml:6:15: input.std is \"0\", expected a number over 0, or a list of one or three of them");
    CHECK_TEXT(refusal(HEAD OUTPUT "input: { mean: [1, 2] }\n"),
               "bundle/model.yaml:6:16: input.mean is a list, expected a number, or a list of one or three numbers");
    CHECK_TEXT(refusal(HEAD OUTPUT "input: { mean: [1, nan, 2] }\n"),
               "bundle/model.yaml:6:20: input.mean is \"nan\", expected a number, or a list of one or three numbers");
    CHECK_TEXT(refusal(HEAD OUTPUT "input: { fields: 2, normalize: { mean: [1] } }\n"),
               "bundle/model.yaml:6:40: input.normalize.mean has another length than fields, expected one number a field");
    CHECK_TEXT(refusal(HEAD OUTPUT "input: { normalize: { std: [1, -1] } }\n"),
               "bundle/model.yaml:6:28: input.normalize.std holds a number that is not over 0, expected numbers over 0");
}

static void another_model_file_is_refused(void)
{
    CHECK_TEXT(refusal(HEAD OUTPUT "sha256: 0000000000000000000000000000000000000000000000000000000000000000\n"),
               "bundle/face.onnx: its sha256 is " SHA_OF_ABC ", model.yaml says "
               "0000000000000000000000000000000000000000000000000000000000000000: the file is damaged or another one; copy it again");
    CHECK_INTEGER(error.code, ERROR_MODEL);
}

static void labels_that_are_no_text_are_refused(void)
{
    support_write("bundle/labels.txt", "a\n\xFF\n");
    CHECK_TEXT(refusal(HEAD OUTPUT "labels: labels.txt\n"), "bundle/labels.txt: not UTF-8 text, expected one label a line");
}

static void bare_file_runs_as_raw(void)
{
    struct manifest *manifest;
    CHECK_OK(manifest_open("net.v2.onnx", &manifest, &error), error);
    CHECK_TEXT(manifest->name, "net.v2");
    CHECK_TEXT(manifest->version, "0");
    CHECK_INTEGER(manifest->task, TASK_RAW);
    CHECK_INTEGER(manifest->output.decode, DECODE_RAW);
    CHECK_TEXT(manifest->sha256, SHA_OF_ABC);
    manifest_close(manifest);
}

static void bare_file_in_a_bundle_uses_its_manifest(void)
{
    struct manifest *manifest;
    support_write("bundle/model.yaml", HEAD OUTPUT);
    support_write("bundle/other.onnx", "abc");
    CHECK_OK(manifest_open("bundle/face.onnx", &manifest, &error), error);
    CHECK_INTEGER(manifest->task, TASK_DETECTION);
    manifest_close(manifest);
    CHECK_OK(manifest_open("bundle/other.onnx", &manifest, &error), error);
    CHECK_INTEGER(manifest->task, TASK_RAW);
    CHECK_TEXT(manifest->name, "other");
    manifest_close(manifest);
}

static void packed_and_missing_bundles_are_refused(void)
{
    struct manifest *manifest;
    support_write("face-1.eddy", "x");
    CHECK_INTEGER(manifest_open("face-1.eddy", &manifest, &error), ERROR_UNSUPPORTED);
    CHECK_TEXT(error.message, "face-1.eddy: packed bundles are not available in this version: unpack it with lz4 and tar");
    CHECK_INTEGER(manifest_open("nothing", &manifest, &error), ERROR_CONFIG);
    CHECK_TEXT(error.message, "nothing: No such file or directory, expected a bundle's folder or a model file");
}

static void make_version(const char *version)
{
    char path[128], yaml[256];
    snprintf(path, sizeof path, "models/m/%s", version);
    support_folder_make(path);
    snprintf(path, sizeof path, "models/m/%s/a.onnx", version);
    support_write(path, "abc");
    snprintf(path, sizeof path, "models/m/%s/model.yaml", version);
    snprintf(yaml, sizeof yaml, "name: m\nversion: %s\ntask: raw\nfile: a.onnx\n", version);
    support_write(path, yaml);
}

static void highest_version_is_found(void)
{
    struct manifest *manifest;
    make_version("1.9.0");
    make_version("1.10.0-rc1");
    make_version("1.10.0");
    support_folder_make("models/m/2.0.0");  /* still without a model.yaml */
    support_folder_make("models/m/.3.0.0"); /* being unpacked */
    CHECK_OK(manifest_find("models", "m", &manifest, &error), error);
    CHECK_TEXT(manifest->version, "1.10.0");
    CHECK_TEXT(manifest->model_path, "models/m/1.10.0/a.onnx");
    manifest_close(manifest);
    CHECK_OK(manifest_find("models", "m@1.9.0", &manifest, &error), error);
    CHECK_TEXT(manifest->version, "1.9.0");
    manifest_close(manifest);
}

static void references_that_lead_elsewhere_are_refused(void)
{
    struct manifest *manifest;
    static const char *const bad[] = {"", "..", "m@..", "m/1.9.0", "m@", "@1", "m@1@2", "/etc"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INTEGER(manifest_find("models", bad[i], &manifest, &error), ERROR_CONFIG);
        CHECK(strstr(error.message, "expected a model's name or name@version") != NULL);
    }
    CHECK_INTEGER(manifest_find("models", "none", &manifest, &error), ERROR_CONFIG);
    CHECK_TEXT(error.message, "models/none: No such file or directory, expected a folder with a folder for each version of the model");
    support_write("models/m/2.0.0/model.yaml", "name: m\nversion: 1.0.0\ntask: raw\nfile: a.onnx\n");
    support_write("models/m/2.0.0/a.onnx", "abc");
    CHECK_INTEGER(manifest_find("models", "m", &manifest, &error), ERROR_CONFIG);
    CHECK_TEXT(error.message, "models/m/2.0.0/model.yaml: it is of m version 1.0.0, expected m version 2.0.0 as its folder says");
}

static void versions_compare_as_numbers(void)
{
    static const char *const rising[] = {"0", "1.0.0-rc1", "1.0.0-rc2", "1.0.0-rc10", "1.0.0", "1.0.0.1", "1.0.1",
                                         "1.9",  "1.10",      "2",         "10",         "99999999999999999999", "100000000000000000000"};
    for (size_t i = 0; i < sizeof rising / sizeof rising[0]; i++) {
        for (size_t j = 0; j < sizeof rising / sizeof rising[0]; j++) {
            int order = version_compare(rising[i], rising[j]);
            CHECK_INTEGER((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
    CHECK_INTEGER(version_compare("1.01", "1.1"), 0);
}

int main(int count, char **arguments)
{
    support_enter_folder();
    support_folder_make("bundle");
    support_folder_make("models");
    support_folder_make("models/m");
    support_write("bundle/face.onnx", "abc");
    support_write("net.v2.onnx", "abc");
    return check_main(count, arguments,
                      (struct check_case[]){CASE(contract_example_is_read), CASE(what_is_not_said_has_defaults),
                                            CASE(series_manifest_is_read), CASE(wrong_manifests_are_refused_in_words),
                                            CASE(another_model_file_is_refused), CASE(labels_that_are_no_text_are_refused),
                                            CASE(bare_file_runs_as_raw), CASE(bare_file_in_a_bundle_uses_its_manifest),
                                            CASE(packed_and_missing_bundles_are_refused), CASE(highest_version_is_found),
                                            CASE(references_that_lead_elsewhere_are_refused), CASE(versions_compare_as_numbers), {0}});
}
