/* SPDX-License-Identifier: Apache-2.0
 *
 * import.h: what the import functions of the ONNX operators share.
 *
 * An import function reads one onnx_node, adds one or more graph nodes and binds the node's output names to graph values.
 *   struct node *node = import_node(importer, OPERATOR_X, inputs); set attributes and outputs' shapes; import_finish(importer, out)
 * import_finish infers shapes and, where all inputs are constants, computes the result at once: shape arithmetic never reaches the graph. */
#ifndef EDDY_INFERENCE_ONNX_IMPORT_H
#define EDDY_INFERENCE_ONNX_IMPORT_H

#include "inference/graph.h"
#include "inference/onnx/parse.h"

struct importer {
    struct graph *graph;
    const struct onnx_model *model;
    const struct onnx_node *node; /* the one being imported */
    struct error *error;
    int32_t *table;               /* names to values: open addressing; value + 1, 0: free */
    const char **table_names;
    size_t table_mask;
};

typedef enum error_code import_function(struct importer *importer);

struct import_row {
    const char *op;
    import_function *import;
    enum operator_kind kind;      /* for functions that serve several operators */
};

extern const struct import_row import_spatial_rows[], import_matrix_rows[], import_elementwise_rows[], import_shape_rows[],
    import_quantized_rows[], import_tree_rows[]; /* each ends with a row whose op is NULL */

/* Errors with the operator and the node's name before them. */
enum error_code import_fail(struct importer *importer, enum error_code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Input i as a graph value; GRAPH_NO_VALUE where it is absent (or an error when required). */
MUST_CHECK enum error_code import_input(struct importer *importer, int index, bool required, int32_t *value_out);
/* The same for a constant that only a Transpose reads: it may lie unaligned in the file. */
MUST_CHECK enum error_code import_input_in_place(struct importer *importer, int index, bool required, int32_t *value_out);
const struct value *import_value(const struct importer *importer, int32_t value);
MUST_CHECK enum error_code import_bind(struct importer *importer, int output, int32_t value);

/* Starts a node; the inputs are copied. NULL: a limit was reached, and the error is set. */
struct node *import_node(struct importer *importer, enum operator_kind kind, const int32_t *inputs, int input_count, int output_count);
/* Infers and folds the node that was started last; gives its first output. */
MUST_CHECK enum error_code import_finish(struct importer *importer, int32_t *value_out);

/* Ready-made nodes. */
MUST_CHECK enum error_code import_transpose(struct importer *importer, int32_t value, const int32_t *order, int32_t *value_out);
MUST_CHECK enum error_code import_reshape(struct importer *importer, int32_t value, const struct shape *shape, int32_t *value_out);
MUST_CHECK enum error_code import_to_nhwc(struct importer *importer, int32_t value, int32_t *value_out);
MUST_CHECK enum error_code import_to_nchw(struct importer *importer, int32_t value, int32_t *value_out);
MUST_CHECK enum error_code import_constant(struct importer *importer, enum dtype dtype, const struct shape *shape, const void *data, int32_t *value_out);
MUST_CHECK enum error_code import_cast(struct importer *importer, int32_t value, enum dtype dtype, int32_t *value_out);

/* Attributes of the node being imported. */
const struct onnx_attribute *import_attribute(const struct importer *importer, const char *name); /* NULL: not there */
int64_t import_int(const struct importer *importer, const char *name, int64_t fallback);
float import_float(const struct importer *importer, const char *name, float fallback);
bool import_text_is(const struct importer *importer, const char *name, const char *text);

/* Constant integers, from an input (i64 or i32). ERROR_UNSUPPORTED where the input is not constant. */
struct integers {
    int64_t values[64];
    int count;
};
MUST_CHECK enum error_code import_integers(struct importer *importer, int32_t value, struct integers *integers_out);
/* From attribute `name`, else from input `index`; count 0 where neither is there. */
MUST_CHECK enum error_code import_integers_either(struct importer *importer, const char *name, int index, struct integers *integers_out);
MUST_CHECK enum error_code import_scalar(struct importer *importer, int32_t value, double *scalar_out); /* a constant of one element */
/* -rank..rank-1 to 0..rank-1 */
MUST_CHECK enum error_code import_axis(struct importer *importer, int64_t axis, int rank, int32_t *axis_out);

#endif
