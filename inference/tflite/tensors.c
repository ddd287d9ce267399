/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors of a subgraph: Tensor and QuantizationParameters of TensorFlow Lite's schema.fbs. */
#include "inference/tflite/convert.h"

#include "inference/half.h"

#include <math.h>
#include <string.h>

enum { TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_NAME, TENSOR_QUANTIZATION, TENSOR_IS_VARIABLE, TENSOR_SPARSITY };
enum { QUANTIZATION_SCALE = 2, QUANTIZATION_ZERO_POINT = 3, QUANTIZATION_DETAILS_TYPE = 4, QUANTIZATION_DIMENSION = 6 };

static enum error_code fail(struct converter *converter, enum error_code code, int32_t tensor, const char *what)
{
    return error_set(converter->error, code, "tensor %d: %s", tensor, what);
}

static enum error_code read_type(struct converter *converter, const struct flatbuffer_table *table, int32_t tensor, enum dtype *dtype)
{
    static const struct { int code; enum dtype dtype; } types[] = {{0, DTYPE_F32}, {1, DTYPE_F16}, {2, DTYPE_I32}, {3, DTYPE_U8},
                                                                   {4, DTYPE_I64}, {6, DTYPE_BOOL}, {7, DTYPE_I16}, {9, DTYPE_I8}};
    int64_t code = flatbuffer_integer(table, TENSOR_TYPE, 1, 0);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].code == code) {
            *dtype = types[i].dtype;
            return ERROR_NONE;
        }
    }
    return error_set(converter->error, ERROR_UNSUPPORTED, "tensor %d is of TFLite type %lld, which is not supported", tensor, (long long)code);
}

static void zero_point_range(enum dtype dtype, int64_t *low, int64_t *high)
{
    *low = dtype == DTYPE_U8 ? 0 : dtype == DTYPE_I8 ? -128 : 0;
    *high = dtype == DTYPE_U8 ? 255 : dtype == DTYPE_I8 ? 127 : 0;
}

static enum error_code read_quantization(struct converter *converter, const struct flatbuffer_table *table, int32_t tensor, struct value *value)
{
    struct flatbuffer_table quantization = flatbuffer_child(table, TENSOR_QUANTIZATION);
    struct flatbuffer_vector scales = flatbuffer_list(&quantization, QUANTIZATION_SCALE, 4);
    struct flatbuffer_vector zeros = flatbuffer_list(&quantization, QUANTIZATION_ZERO_POINT, 8);
    bool integers = value->dtype == DTYPE_I8 || value->dtype == DTYPE_U8 || value->dtype == DTYPE_I16 || value->dtype == DTYPE_I32;
    if (scales.count == 0 || !integers)
        return ERROR_NONE;
    if (flatbuffer_integer(&quantization, QUANTIZATION_DETAILS_TYPE, 1, 0) != 0)
        return fail(converter, ERROR_UNSUPPORTED, tensor, "custom quantisation");
    if (scales.count > TENSOR_ELEMENTS_MAX || (zeros.count != 0 && zeros.count != scales.count))
        return fail(converter, ERROR_MODEL, tensor, "scales and zero points of different number");
    float *scale = arena_allocate_array(&converter->graph->arena, scales.count, sizeof *scale);
    int32_t *zero_point = arena_allocate_array(&converter->graph->arena, scales.count, sizeof *zero_point);
    if (scale == NULL || zero_point == NULL)
        return fail(converter, ERROR_LIMIT, tensor, "no memory for its scales");
    int64_t low, high;
    zero_point_range(value->dtype, &low, &high);
    for (uint32_t i = 0; i < scales.count; i++) {
        int64_t zero = zeros.count != 0 ? flatbuffer_element_i64(&zeros, i) : 0;
        scale[i] = flatbuffer_element_f32(&scales, i);
        if (!isfinite(scale[i]) || scale[i] <= 0)
            return fail(converter, ERROR_MODEL, tensor, "a scale that is not above zero");
        if (zero < low || zero > high)
            return fail(converter, ERROR_MODEL, tensor, "a zero point outside its type");
        zero_point[i] = (int32_t)zero;
    }
    value->quantization = (struct quantization){.count = (int32_t)scales.count, .scale = scale, .zero_point = zero_point};
    if (scales.count > 1) { /* with one scale the axis says nothing, and may be anything */
        int32_t axis = value->quantization.axis = (int32_t)flatbuffer_integer(&quantization, QUANTIZATION_DIMENSION, 4, 0);
        if (axis < 0 || axis >= value->shape.rank || value->shape.dims[axis] != value->quantization.count)
            return fail(converter, ERROR_MODEL, tensor, "scales along an axis of another length");
    }
    return ERROR_NONE;
}

static enum error_code read_shape(struct converter *converter, const struct flatbuffer_table *table, int32_t tensor, struct shape *shape)
{
    struct flatbuffer_vector dims = flatbuffer_list(table, TENSOR_SHAPE, 4);
    if (dims.count > TENSOR_RANK_MAX)
        return fail(converter, ERROR_UNSUPPORTED, tensor, "more dimensions than eddy takes");
    *shape = (struct shape){.rank = (int)dims.count};
    for (uint32_t i = 0; i < dims.count; i++)
        shape->dims[i] = flatbuffer_element_i32(&dims, i);
    return ERROR_NONE;
}

enum error_code tensor_describe(struct converter *converter, int32_t tensor, struct value *value_out)
{
    if (tensor < 0 || (uint32_t)tensor >= converter->tensors.count)
        return fail(converter, ERROR_MODEL, tensor, "there is no such tensor");
    struct flatbuffer_table table = flatbuffer_element(&converter->tensors, (uint32_t)tensor);
    size_t length;
    const char *text = flatbuffer_text(&table, TENSOR_NAME, &length);
    *value_out = (struct value){.producer = -1, .name = arena_copy_string(&converter->graph->arena, text, length < 200 ? length : 200)};
    if (value_out->name == NULL)
        return fail(converter, ERROR_LIMIT, tensor, "no memory for its name");
    if (flatbuffer_has(&table, TENSOR_SPARSITY))
        return fail(converter, ERROR_UNSUPPORTED, tensor, "sparse tensors are not supported");
    TRY(read_type(converter, &table, tensor, &value_out->dtype));
    TRY(read_shape(converter, &table, tensor, &value_out->shape));
    return read_quantization(converter, &table, tensor, value_out);
}

static enum error_code widen_half(struct converter *converter, int32_t tensor, struct value *value)
{
    int64_t count = shape_elements(&value->shape);
    float *wide = arena_allocate_array(&converter->graph->arena, (size_t)count, sizeof *wide);
    if (wide == NULL)
        return fail(converter, ERROR_LIMIT, tensor, "the model needs more memory than eddy allows");
    for (int64_t i = 0; i < count; i++)
        wide[i] = half_to_float(((const uint16_t *)value->data)[i]);
    value->data = wide;
    value->dtype = DTYPE_F32;
    return ERROR_NONE;
}

/* Data stays in the file where it is aligned for its type. */
static enum error_code place_constant(struct converter *converter, int32_t tensor, const struct flatbuffer_vector *bytes, struct value *value)
{
    int64_t count = shape_elements(&value->shape);
    size_t element = dtype_bytes(value->dtype);
    if (count < 0 || bytes->count != (uint64_t)count * element)
        return fail(converter, ERROR_MODEL, tensor, "data of another size than its shape and type say");
    const uint8_t *data = converter->file->bytes + bytes->at;
    if ((uintptr_t)data % element != 0) {
        void *copy = arena_allocate(&converter->graph->arena, bytes->count);
        if (copy == NULL)
            return fail(converter, ERROR_LIMIT, tensor, "the model needs more memory than eddy allows");
        memcpy(copy, data, bytes->count);
        data = copy;
    }
    value->data = data;
    return value->dtype == DTYPE_F16 ? widen_half(converter, tensor, value) : ERROR_NONE;
}

static enum error_code import_constant(struct converter *converter, int32_t tensor)
{
    struct flatbuffer_table table = flatbuffer_element(&converter->tensors, (uint32_t)tensor);
    uint32_t index = flatbuffer_u32(&table, TENSOR_BUFFER, 0);
    if (index >= converter->buffers.count)
        return fail(converter, ERROR_MODEL, tensor, "there is no such buffer");
    struct flatbuffer_table buffer = flatbuffer_element(&converter->buffers, index);
    struct flatbuffer_vector bytes = flatbuffer_list(&buffer, 0, 1);
    if (index == 0 || bytes.count == 0)
        return ERROR_NONE; /* computed by an operator, or state that begins as zeros */
    struct value value;
    TRY(tensor_describe(converter, tensor, &value));
    TRY(place_constant(converter, tensor, &bytes, &value));
    int32_t made = graph_add_constant(converter->graph, value.name, value.dtype, &value.shape, value.data);
    if (made < 0)
        return fail(converter, ERROR_LIMIT, tensor, "more values than eddy takes");
    converter->graph->values[made].quantization = value.quantization;
    converter->values[tensor] = made;
    return ERROR_NONE;
}

static const struct shape *given_shape(const struct model_options *options, const char *name, int position)
{
    for (int i = 0; options != NULL && i < options->input_shape_count; i++) {
        const struct input_shape *given = &options->input_shapes[i];
        if (given->name != NULL ? strcmp(given->name, name) == 0 : i == position)
            return &given->shape;
    }
    return NULL;
}

static enum error_code import_input(struct converter *converter, int32_t tensor, const struct model_options *options)
{
    struct graph *graph = converter->graph;
    struct value value;
    TRY(tensor_describe(converter, tensor, &value));
    const struct shape *given = given_shape(options, value.name, graph->input_count);
    if (given != NULL && given->rank == value.shape.rank)
        value.shape = *given;
    for (int i = 0; i < value.shape.rank; i++) {
        if (value.shape.dims[i] < 1)
            value.shape.dims[i] = 1;
    }
    if (shape_elements(&value.shape) < 0 || value.quantization.count > 1 || converter->values[tensor] != GRAPH_NO_VALUE || value.dtype == DTYPE_F16)
        return fail(converter, ERROR_MODEL, tensor, "cannot be an input of the model");
    int32_t made = graph_add_value(graph, value.name, value.dtype);
    if (made < 0)
        return fail(converter, ERROR_LIMIT, tensor, "more values than eddy takes");
    value.shape_known = true;
    graph->values[made] = value;
    graph->inputs[graph->input_count++] = made;
    converter->values[tensor] = made;
    return ERROR_NONE;
}

enum error_code tensors_import(struct converter *converter, const struct flatbuffer_vector *inputs, const struct model_options *options)
{
    for (uint32_t i = 0; i < converter->tensors.count && !flatbuffer_failed(converter->file); i++)
        TRY(import_constant(converter, (int32_t)i));
    for (uint32_t i = 0; i < inputs->count && !flatbuffer_failed(converter->file); i++)
        TRY(import_input(converter, flatbuffer_element_i32(inputs, i), options));
    return ERROR_NONE;
}
