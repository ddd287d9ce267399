/* SPDX-License-Identifier: Apache-2.0
 *
 * The prose around the tables: what the table of keys cannot say about itself. */
#include "config/config.h"
#include "config/manifest.h"
#include "config/schema.h"

void config_print_sample(FILE *file)
{
    fputs("# eddy.yaml: what this gateway takes in, runs and sends. Keys that are commented out show their default or an example.\n"
          "# Files in conf.d beside this one are read after it, in name order. Check with: eddy check -c FILE\n"
          "# See eddy.yaml(5). Sizes: 4096, 128KiB, 64MiB. Times: 0ms, 200ms, 30s, 10m, 24h.\n\n",
          file);
    schema_print_sample(&config_schema, file);
}

void config_print_reference(FILE *file)
{
    fputs("# Configuration\n\n"
          "This page is printed from the tables in `config/schema.c` and `config/manifest_schema.c`; the commented default\n"
          "file is `config/eddy.yaml`.\n\n"
          "- The daemon reads `/etc/eddy/eddy.yaml`, then `conf.d/*.yaml` beside it in name order: a map's keys replace those of earlier\n"
          "  files, lists are replaced whole, except `pipelines`, where an entry replaces the one of the same name or is added.\n"
          "- Sizes are bytes or have a unit: `4096`, `128KiB`, `64MiB`, `1GiB`. Times have a unit: `250us`, `200ms`, `30s`, `10m`,\n"
          "  `24h`, `7d`.\n"
          "- Anchors, aliases, tags, keys given twice and unknown keys are refused, each with `file:line:column`, what was found and what\n"
          "  was expected; up to 20 problems are shown at once. `eddy check -c FILE` says so without starting anything.\n"
          "- `model.yaml` in a bundle's folder `NAME/VERSION/` says what the numbers of a model file mean (last table). A model file\n"
          "  without a `model.yaml` beside it runs as task `raw`. Without `output.decode` a classification is read as `classes`, an anomaly as\n"
          "  `reconstruction`, raw as `raw`; a detection must say.\n\n",
          file);
    schema_print_reference(&config_schema, file);
    fputc('\n', file);
    schema_print_reference(&manifest_schema, file);
}

void config_print_man(FILE *file)
{
    fputs(".\\\" SPDX-License-Identifier: Apache-2.0\n"
          ".TH EDDY.YAML 5 \"\" eddy \"File formats\"\n"
          ".SH NAME\neddy.yaml \\- configuration of eddyd(8), the edge inference agent\n"
          ".SH SYNOPSIS\n.I /etc/eddy/eddy.yaml\n.br\n.I /etc/eddy/conf.d/*.yaml\n"
          ".SH DESCRIPTION\n"
          "A YAML map of sections. Files in conf.d are read after eddy.yaml, in name order: a map's keys replace those of\n"
          "earlier files, lists are replaced whole, except pipelines, where an entry replaces the one of the same name or is added.\n"
          "Sizes: 4096, 128KiB, 64MiB, 1GiB. Times: 250us, 200ms, 30s, 10m, 24h, 7d.\n"
          "Unknown keys, wrong types and values out of range are refused with file:line:column and what was expected.\n",
          file);
    schema_print_man(&config_schema, file);
    fputs(".SH SEE ALSO\n.BR eddyd (8),\n.BR eddy (1)\n", file);
}
