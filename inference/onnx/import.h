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
    const struct import_row *row; /* of that node's operator */
    struct error *error;
    int32_t *table;               /* names to values: open addressing; value + 1, 0: free */
    const char **table_names;
    size_t table_mask;
    const struct importer *around; /* of the graph whose node this graph is the body of; NULL: the file's own graph */
    int *rounds_left;             /* bodies that may still be run through, in all */
};

typedef enum error_code import_function(struct importer *importer);

/* What docs/operators.md says comes from here, too (`eddy model operators`). */
struct import_row {
    const char *op;
    import_function *import;
    enum operator_kind kind;      /* for functions that serve several operators */
    const char *types, *note;     /* element types it takes; what it leaves out, "" where nothing */
};

/* Each ends with a row whose op is NULL. */
extern const struct import_row import_elementwise_rows[], import_index_rows[], import_matrix_rows[], import_normalize_rows[], import_quantized_rows[],
    import_control_rows[], import_recurrent_rows[], import_resize_rows[], import_shape_rows[], import_spatial_rows[], import_tree_rows[];

enum { IMPORT_TABLES = 11, IMPORT_ROUNDS_MAX = 4096 };
extern const struct import_table {
    const char *family, *domain;  /* domain: "ai.onnx" or "ai.onnx.ml" */
    const struct import_row *rows;
} import_tables[IMPORT_TABLES];

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
MUST_CHECK enum error_code import_unary_of(struct importer *importer, enum operator_kind kind, int32_t value, int32_t *value_out);
MUST_CHECK enum error_code import_binary_of(struct importer *importer, enum operator_kind kind, int32_t a, int32_t b, int32_t *value_out);
MUST_CHECK enum error_code import_number(struct importer *importer, float number, int32_t *value_out); /* a constant of rank 0 */
/* count[i] elements from begin[i] by step[i] along each axis. */
MUST_CHECK enum error_code import_slice_of(struct importer *importer, int32_t value, const int32_t *begin, const int32_t *step, const int32_t *count,
                                           int32_t *value_out);
/* With axes of 1 around one axis of `rank`, for operands along that axis: [C] becomes [1, C, 1, 1]. */
MUST_CHECK enum error_code import_along(struct importer *importer, int32_t value, int axis, int rank, int32_t *value_out);
/* Infers and folds the node that was started last, and binds its outputs to the node's in the file. */
MUST_CHECK enum error_code import_finish_bind(struct importer *importer);

/* The nodes of a body behind its arguments; gives the values of its outputs. Bodies share the limit of IMPORT_ROUNDS_MAX. */
MUST_CHECK enum error_code import_body(struct importer *importer, const struct onnx_model *body, const int32_t *arguments, int argument_count,
                                       int32_t *results, int result_count);

/* Attributes of the node being imported. */
const struct onnx_attribute *import_attribute(const struct importer *importer, const char *name); /* NULL: not there */
int64_t import_int(const struct importer *importer, const char *name, int64_t fallback);
float import_float(const struct importer *importer, const char *name, float fallback);
bool import_text_is(const struct importer *importer, const char *name, const char *text);

/* Makes a value a constant where that is possible (graph.h: "Known at open"); else ERROR_UNSUPPORTED, and nothing has changed. */
MUST_CHECK enum error_code import_known(struct importer *importer, int32_t value);
bool import_may_be_known(const struct importer *importer, int32_t value);

/* Known integers, from an input (i64 or i32). */
struct integers {
    int64_t values[64];
    int count;
};
MUST_CHECK enum error_code import_integers(struct importer *importer, int32_t value, struct integers *integers_out);
/* From attribute `name`, else from input `index`; count 0 where neither is there. */
MUST_CHECK enum error_code import_integers_either(struct importer *importer, const char *name, int index, struct integers *integers_out);
MUST_CHECK enum error_code import_scalar(struct importer *importer, int32_t value, double *scalar_out); /* known, one element */
/* -rank..rank-1 to 0..rank-1 */
MUST_CHECK enum error_code import_axis(struct importer *importer, int64_t axis, int rank, int32_t *axis_out);

#endif
