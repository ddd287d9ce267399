/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/losses.h"

void losses_tell(struct events *events, const struct outbox_statistics *before, const struct outbox_statistics *now)
{
    int64_t thinned = now->thinned_results - before->thinned_results, evicted = now->evicted_results - before->evicted_results - thinned;
    int64_t thinned_from = before->thinned_below > now->thinned_from ? before->thinned_below : now->thinned_from;
    if (thinned > 0)
        events_raise(events, "results-thinned", "the outbox was full: of seq %lld to %lld, %lld ordinary results went unsent; the important ones stay",
                     (long long)thinned_from, (long long)now->thinned_below - 1, (long long)thinned);
    if (evicted > 0)
        events_raise(events, "results-evicted", "the outbox was full (outbox.max_bytes or the disk): %lld results went unsent, %lld in all",
                     (long long)evicted, (long long)now->evicted_results);
    if (now->set_aside > before->set_aside)
        events_raise(events, "outbox-damaged", "the outbox turned out to be damaged: set aside, a new one begun; results in it are not sent");
}
