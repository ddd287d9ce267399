/* SPDX-License-Identifier: Apache-2.0
 *
 * reconstruction: the mean squared error of an autoencoder's output against its input, both as the model sees them (normalised). */
#include "agent/task_internal.h"

#include <math.h>

static void write_reconstruction(struct task_decoder *task, const struct task_run *run, struct json_writer *writer)
{
    const float *given = task_input_floats(task, run), *made = task_floats(task, run, 0);
    int64_t count = shape_elements(&run->outputs[0]->shape);
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = (double)given[i] - (double)made[i];
        sum += difference * difference;
    }
    double score = sum / (double)count, threshold = (double)task->manifest->output.threshold;
    task->margin = threshold > 0 ? fabs(score - threshold) / threshold : 1;
    json_object_begin(writer);
    json_key(writer, "score");
    json_float(writer, score);
    json_key(writer, "threshold");
    json_float(writer, threshold);
    json_key(writer, "anomalous");
    json_bool(writer, !(score <= threshold)); /* a score that is no number is no good sign either */
    json_object_end(writer);
}

enum error_code task_reconstruction_new(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs,
                                        struct error *error)
{
    int64_t given = shape_elements(&inputs[0]->shape), made = shape_elements(&outputs[0]->shape);
    if (given != made || given < 1)
        return error_set(error, ERROR_MODEL, "decode: reconstruction compares output with input, but \"%s\" holds %lld numbers and \"%s\" %lld",
                         outputs[0]->name, (long long)made, inputs[0]->name, (long long)given);
    task->write = write_reconstruction;
    return ERROR_NONE;
}
