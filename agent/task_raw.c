/* SPDX-License-Identifier: Apache-2.0
 *
 * raw: the output tensors as they are stored; of quantised ones the scale and zero point stand beside. */
#include "agent/task_internal.h"

#include "inference/half.h"

static void write_element(const struct tensor *tensor, int64_t i, struct json_writer *writer)
{
    switch (tensor->dtype) {
    case DTYPE_F32: json_float(writer, (double)((const float *)tensor->data)[i]); break;
    case DTYPE_F16: json_float(writer, (double)half_to_float(((const uint16_t *)tensor->data)[i])); break;
    case DTYPE_I8: json_integer(writer, ((const int8_t *)tensor->data)[i]); break;
    case DTYPE_U8: json_integer(writer, ((const uint8_t *)tensor->data)[i]); break;
    case DTYPE_I16: json_integer(writer, ((const int16_t *)tensor->data)[i]); break;
    case DTYPE_I32: json_integer(writer, ((const int32_t *)tensor->data)[i]); break;
    case DTYPE_I64: json_integer(writer, ((const int64_t *)tensor->data)[i]); break;
    default: json_bool(writer, ((const uint8_t *)tensor->data)[i] != 0); break;
    }
}

static void write_tensor(const struct tensor *tensor, struct json_writer *writer)
{
    int64_t count = shape_elements(&tensor->shape);
    json_object_begin(writer);
    json_key(writer, "shape");
    json_array_begin(writer);
    for (int i = 0; i < tensor->shape.rank; i++)
        json_integer(writer, tensor->shape.dims[i]);
    json_array_end(writer);
    if (tensor->quantization.count == 1) {
        json_key(writer, "scale");
        json_float(writer, (double)tensor->quantization.scale[0]);
        json_key(writer, "zero_point");
        json_integer(writer, tensor->quantization.zero_point[0]);
    }
    json_key(writer, "data");
    json_array_begin(writer);
    for (int64_t i = 0; i < count && !writer->overflow; i++)
        write_element(tensor, i, writer);
    json_array_end(writer);
    json_object_end(writer);
}

static void write_raw(struct task_decoder *task, const struct task_run *run, struct json_writer *writer)
{
    json_object_begin(writer);
    json_key(writer, "outputs");
    json_object_begin(writer);
    for (int i = 0; i < task->output_count; i++) {
        json_key(writer, run->outputs[i]->name);
        write_tensor(run->outputs[i], writer);
    }
    json_object_end(writer);
    json_object_end(writer);
}

enum error_code task_raw_new(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs,
                             struct error *error)
{
    (void)inputs;
    (void)outputs;
    (void)error;
    task->write = write_raw;
    return ERROR_NONE;
}
