/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/roofline.h"

#include "agent/cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* In the picture's units; y grows downwards. */
enum { WIDTH = 960, HEIGHT = 620, LEFT = 70, RIGHT = 930, TOP = 50, BOTTOM = 540, LABELS_MAX = 16, LABEL_BYTES = 32, LABEL_HEIGHT = 12 };
static const double label_character = 6.2, radius_least = 2.5, radius_most = 22;

struct axis {
    int low, high;             /* powers of ten */
    double from, to;           /* where they lie */
};

struct point {
    int layer;
    double x, y, radius, ns;
};

struct box {
    double left, top, right, bottom;
};

struct drawing {
    const struct roofline *roofline;
    FILE *file;
    struct axis x, y;
    struct point *points;      /* the longest first */
    int count;
    double sum_ns, idle_ns;    /* of all layers; of those that do not multiply */
    uint64_t macs, bytes;      /* of the points */
    struct box labels[LABELS_MAX];
    int label_count;
};

static double place(const struct axis *axis, double value)
{
    return axis->from + (log10(value) - axis->low) / (axis->high - axis->low) * (axis->to - axis->from);
}

/* As XML wants it: cli_print has taken care of control characters and of what is no UTF-8. */
static void print_xml(FILE *file, const char *text)
{
    for (size_t at = 0; text[at] != '\0';) {
        size_t plain = strcspn(text + at, "&<>\"\t\xEF");
        cli_print(file, text + at, plain);
        at += plain;
        switch (text[at]) {
        case '\0': break;
        case '&': fputs("&amp;", file); at++; break;
        case '<': fputs("&lt;", file); at++; break;
        case '>': fputs("&gt;", file); at++; break;
        case '"': fputs("&quot;", file); at++; break;
        default: fputc(' ', file); at++; break; /* 0xEF begins U+FFFE, which XML forbids, and little that names use */
        }
    }
}

static int by_time(const void *a, const void *b)
{
    const struct point *p = a, *q = b;
    return p->ns != q->ns ? (p->ns < q->ns) - (p->ns > q->ns) : p->layer - q->layer;
}

static void collect(struct drawing *drawing)
{
    const struct roofline *roofline = drawing->roofline;
    for (int i = 0; i < model_layer_count(roofline->model); i++) {
        const struct layer layer = model_layer(roofline->model, i);
        const double ns = (double)(roofline->layer_ns[i] > 0 ? roofline->layer_ns[i] : 1);
        drawing->sum_ns += ns;
        if (layer.macs == 0 || layer.bytes == 0) {
            drawing->idle_ns += ns;
            continue;
        }
        drawing->points[drawing->count++] = (struct point){.layer = i, .ns = ns, .x = (double)layer.macs / (double)layer.bytes,
                                                            .y = (double)layer.macs / ns};
        drawing->macs += layer.macs;
        drawing->bytes += layer.bytes;
    }
    qsort(drawing->points, (size_t)drawing->count, sizeof *drawing->points, by_time);
    for (int i = 0; i < drawing->count; i++)
        drawing->points[i].radius = fmax(radius_least, radius_most * sqrt(drawing->points[i].ns / drawing->sum_ns));
}

static void widen(struct axis *axis, double value)
{
    axis->low = fmin(axis->low, floor(log10(value)));
    axis->high = fmax(axis->high, ceil(log10(value) + 0.02));
}

static void choose_axes(struct drawing *drawing)
{
    const struct ceilings *ceilings = drawing->roofline->ceilings;
    drawing->x = (struct axis){.low = 0, .high = 2, .from = LEFT, .to = RIGHT};
    drawing->y = (struct axis){.low = 1, .high = 2, .from = BOTTOM, .to = TOP};
    widen(&drawing->y, ceilings->f32_gmac_s);
    widen(&drawing->y, ceilings->i8_gmac_s);
    for (int i = 0; i < drawing->count; i++) {
        widen(&drawing->x, drawing->points[i].x);
        widen(&drawing->y, drawing->points[i].y);
    }
}

static void draw_axes(const struct drawing *drawing)
{
    FILE *file = drawing->file;
    for (int power = drawing->x.low; power <= drawing->x.high; power++) {
        const double x = place(&drawing->x, pow(10, power));
        fprintf(file, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/><text class=\"x\" x=\"%.1f\" y=\"%d\">%g</text>\n", x, TOP, x,
                BOTTOM, x, BOTTOM + 16, pow(10, power));
    }
    for (int power = drawing->y.low; power <= drawing->y.high; power++) {
        const double y = place(&drawing->y, pow(10, power));
        fprintf(file, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/><text class=\"y\" x=\"%d\" y=\"%.1f\">%g</text>\n", LEFT, y, RIGHT,
                y, LEFT - 6, y + 4, pow(10, power));
    }
    fprintf(file, "<text class=\"x\" x=\"%d\" y=\"%d\">multiply-adds for each byte of inputs, weights and results</text>\n", (LEFT + RIGHT) / 2, BOTTOM + 34);
    fprintf(file, "<text class=\"x\" transform=\"translate(18 %d) rotate(-90)\">GMAC/s</text>\n", (TOP + BOTTOM) / 2);
}

static void draw_peak(const struct drawing *drawing, double rate, const char *name)
{
    const double y = place(&drawing->y, rate);
    fprintf(drawing->file, "<line class=\"roof\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n", LEFT, y, RIGHT, y);
    fprintf(drawing->file, "<text class=\"roof end\" x=\"%d\" y=\"%.1f\">%s: %.0f GMAC/s</text>\n", RIGHT, y - 4, name, rate);
}

/* GB/s times multiply-adds a byte, from the left or the bottom up to what can be multiplied. */
static void draw_slope(const struct drawing *drawing, double rate, double highest, size_t bytes, int index)
{
    const double least = pow(10, drawing->x.low), lowest = pow(10, drawing->y.low);
    const double from = fmax(least, lowest / rate), to = fmin(pow(10, drawing->x.high), highest / rate);
    if (!(to > from))
        return;
    const double x1 = place(&drawing->x, from), y1 = place(&drawing->y, from * rate), x2 = place(&drawing->x, to), y2 = place(&drawing->y, to * rate);
    const double angle = atan2(y2 - y1, x2 - x1) * 180 / 3.14159265358979, along = 0.2 + 0.2 * index; /* so that the lines' words are apart */
    fprintf(drawing->file, "<line class=\"roof\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x1, y1, x2, y2);
    fprintf(drawing->file, "<text class=\"roof\" transform=\"translate(%.1f %.1f) rotate(%.2f)\" dy=\"-4\">", x1 + along * (x2 - x1),
            y1 + along * (y2 - y1), angle);
    if (bytes < 1 << 20)
        fprintf(drawing->file, "%zu KiB read: %.0f GB/s</text>\n", bytes >> 10, rate);
    else
        fprintf(drawing->file, "%zu MiB read: %.0f GB/s</text>\n", bytes >> 20, rate);
}

static void draw_ceilings(const struct drawing *drawing)
{
    const struct ceilings *ceilings = drawing->roofline->ceilings;
    const double highest = fmax(ceilings->f32_gmac_s, ceilings->i8_gmac_s);
    draw_peak(drawing, ceilings->f32_gmac_s, "32-bit floats");
    draw_peak(drawing, ceilings->i8_gmac_s, "8 bit");
    for (int i = 0; i < CEILINGS_READ; i++)
        draw_slope(drawing, ceilings->read[i].gb_s, highest, ceilings->read[i].bytes, i);
}

static bool overlap(const struct box *a, const struct box *b)
{
    return a->left < b->right && b->left < a->right && a->top < b->bottom && b->top < a->bottom;
}

static bool is_free(const struct drawing *drawing, const struct box *box)
{
    if (box->left < LEFT || box->right > RIGHT || box->top < TOP || box->bottom > BOTTOM)
        return false;
    for (int i = 0; i < drawing->label_count; i++) {
        if (overlap(box, &drawing->labels[i]))
            return false;
    }
    for (int i = 0; i < drawing->count; i++) {
        const double x = place(&drawing->x, drawing->points[i].x), y = place(&drawing->y, drawing->points[i].y), r = drawing->points[i].radius;
        if (overlap(box, &(struct box){x - r, y - r, x + r, y + r}))
            return false;
    }
    return true;
}

/* To the right of its circle, or to the left; nowhere where both are taken. */
static void draw_label(struct drawing *drawing, const struct point *point)
{
    char text[LABEL_BYTES];
    const struct layer layer = model_layer(drawing->roofline->model, point->layer);
    const double width = label_character * snprintf(text, sizeof text, "%d %.20s", point->layer, layer.kind);
    const double x = place(&drawing->x, point->x), y = place(&drawing->y, point->y), gap = point->radius + 3;
    const struct box right = {x + gap, y - LABEL_HEIGHT / 2, x + gap + width, y + LABEL_HEIGHT / 2};
    const struct box left = {x - gap - width, right.top, x - gap, right.bottom};
    const bool is_right = is_free(drawing, &right);
    if (drawing->label_count == LABELS_MAX || (!is_right && !is_free(drawing, &left)))
        return;
    drawing->labels[drawing->label_count++] = is_right ? right : left;
    fprintf(drawing->file, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", is_right ? "label" : "label end", is_right ? right.left : left.right,
            y + 4, text);
}

static void draw_layers(struct drawing *drawing)
{
    for (int i = 0; i < drawing->count; i++) {
        const struct point *point = &drawing->points[i];
        const struct layer layer = model_layer(drawing->roofline->model, point->layer);
        fprintf(drawing->file, "<circle class=\"layer\" cx=\"%.2f\" cy=\"%.2f\" r=\"%.1f\"><title>%d %s ", place(&drawing->x, point->x),
                place(&drawing->y, point->y), point->radius, point->layer, layer.kind);
        print_xml(drawing->file, layer.name);
        fprintf(drawing->file, ": %.3f us, %.4g GMAC/s, %.4g MAC/byte</title></circle>\n", point->ns / 1e3, point->y, point->x);
    }
    for (int i = 0; i < drawing->count; i++)
        draw_label(drawing, &drawing->points[i]);
}

static void draw(struct drawing *drawing)
{
    static const char head[] =
        "<style>\n"
        "text { font: 11px sans-serif; fill: #777 } .title { font-size: 16px } .x { text-anchor: middle } .y, .end { text-anchor: end }\n"
        ".grid { stroke: #8884 } line.roof { stroke: #c60; stroke-width: 1.5 } text.roof { fill: #c60 }\n"
        ".layer { fill: #06c; fill-opacity: .45; stroke: #06c }\n"
        "@media (prefers-color-scheme: light) { text { fill: #333 } text.roof { fill: #a50 } }\n"
        "@media (prefers-color-scheme: dark) {\n"
        "text { fill: #ddd } line.roof { stroke: #f93 } text.roof { fill: #fb6 } .layer { fill: #6bf; stroke: #6bf }\n"
        "}\n"
        "</style>\n";
    const struct roofline *roofline = drawing->roofline;
    FILE *file = drawing->file;
    fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\">\n%s<text class=\"title\" x=\"%d\" y=\"28\">", WIDTH, HEIGHT, head, LEFT);
    print_xml(file, roofline->title);
    fprintf(file, "</text>\n");
    draw_axes(drawing);
    draw_ceilings(drawing);
    draw_layers(drawing);
    fprintf(file, "<text class=\"total\" x=\"%d\" y=\"%d\">%s, %d thread%s: %.1f us in layers, %.2f MMAC, %.2f MB moved, %.1f GMAC/s; ", LEFT, HEIGHT - 28,
            model_cpu(roofline->model), roofline->threads, roofline->threads > 1 ? "s" : "", drawing->sum_ns / 1e3, (double)drawing->macs / 1e6,
            (double)drawing->bytes / 1e6, (double)drawing->macs / drawing->sum_ns);
    fprintf(file, "layers without multiplications, not shown: %.1f %% of the time</text>\n", 100 * drawing->idle_ns / drawing->sum_ns);
    fprintf(file, "<text x=\"%d\" y=\"%d\">Area: share of the time. Lines: what one thread reaches with everything in the nearest cache, and reading so much "
            "over and over.</text>\n</svg>\n", LEFT, HEIGHT - 12);
}

enum error_code roofline_write(const char *path, const struct roofline *roofline, struct error *error)
{
    struct drawing drawing = {.roofline = roofline};
    drawing.points = calloc((size_t)model_layer_count(roofline->model) + 1, sizeof *drawing.points);
    if (drawing.points == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a picture");
    drawing.file = fopen(path, "w");
    bool written = drawing.file != NULL;
    if (written) {
        collect(&drawing);
        choose_axes(&drawing);
        draw(&drawing);
        written = !ferror(drawing.file);
        written = fclose(drawing.file) == 0 && written;
    }
    free(drawing.points);
    return written ? ERROR_NONE : error_set(error, ERROR_INPUT, "%s could not be written: %s", path, strerror(errno));
}
