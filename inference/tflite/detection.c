/* SPDX-License-Identifier: Apache-2.0
 *
 * TFLite_Detection_PostProcess: a custom operator whose options are a FlexBuffer map. */
#include "inference/tflite/convert.h"
#include "inference/tflite/flexbuffer.h"

static double option(const struct converter *converter, const char *name, double fallback)
{
    double number;
    const uint8_t *bytes = converter->file->bytes + converter->custom_options.at;
    return flexbuffer_number(bytes, converter->custom_options.count, name, &number) ? number : fallback;
}

static bool is_count(double number)
{
    return number >= 1 && number <= 100000;
}

enum error_code convert_detection(struct converter *converter, enum operator_kind kind)
{
    int32_t inputs[3];
    for (uint32_t i = 0; i < 3; i++)
        TRY(convert_input(converter, i, true, &inputs[i]));
    double classes = option(converter, "num_classes", 0), most = option(converter, "max_detections", 0);
    double per_class = option(converter, "detections_per_class", 100), each = option(converter, "max_classes_per_detection", 1);
    if (!is_count(classes) || !is_count(most) || !is_count(per_class) || converter->outputs.count != 4)
        return convert_fail(converter, ERROR_MODEL, "its options or outputs are not what the operator needs");
    bool regular = option(converter, "use_regular_nms", 0) != 0;
    if (!regular && each != 1)
        return convert_fail(converter, ERROR_UNSUPPORTED, "more than one class a detection");
    struct node *node = graph_add_node(converter->graph, kind, "detection", 3, 4);
    if (node == NULL)
        return convert_fail(converter, ERROR_LIMIT, "the graph is larger than eddy takes");
    for (int i = 0; i < 3; i++)
        node->inputs[i] = inputs[i];
    node->attributes.detection.scale_y = (float)option(converter, "y_scale", 0);
    node->attributes.detection.scale_x = (float)option(converter, "x_scale", 0);
    node->attributes.detection.scale_h = (float)option(converter, "h_scale", 0);
    node->attributes.detection.scale_w = (float)option(converter, "w_scale", 0);
    node->attributes.detection.score_threshold = (float)option(converter, "nms_score_threshold", 0);
    node->attributes.detection.iou_threshold = (float)option(converter, "nms_iou_threshold", 0.6);
    node->attributes.detection.classes = (int32_t)classes;
    node->attributes.detection.detections_max = (int32_t)most;
    node->attributes.detection.per_class_max = (int32_t)per_class;
    node->attributes.detection.regular = regular;
    int32_t first;
    TRY(convert_finish(converter, &first));
    for (uint32_t i = 0; i < 4; i++)
        TRY(convert_bind(converter, i, converter->graph->nodes[converter->graph->node_count - 1].outputs[i]));
    return ERROR_NONE;
}
