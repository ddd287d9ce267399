/* SPDX-License-Identifier: Apache-2.0
 *
 * agent.h: the whole agent, put together from a config: links, workers, committer, cache, status, commands.
 *
 * agent_new opens models and the cache (slow, may fail, disturbs nothing that runs); agent_start begins to take inputs; agent_stop takes
 * no more, lets what was taken be answered, commits and acknowledges it, says goodbye. A reload is agent_new of the new config, then
 * agent_stop of the old agent and agent_start of the new one: nothing is lost, the local broker keeps the session.
 * Threads: one thread (main) calls these functions; the others are the agent's own (docs/architecture.md lists them). */
#ifndef EDDY_AGENT_AGENT_H
#define EDDY_AGENT_AGENT_H

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

struct agent;

MUST_CHECK enum error_code agent_new(struct config *config, struct agent **agent_out, struct error *error); /* takes the config, also on failure */
MUST_CHECK enum error_code agent_start(struct agent *agent, struct error *error);
void agent_stop(struct agent *agent);
void agent_free(struct agent *agent); /* stopped; NULL is fine */

/* Waits at most AGENT_TICK_US for a command, then does what is due: commands, birth messages, health, cache flush. Call it in a loop. */
enum { AGENT_TICK_US = 100000 };
void agent_tick(struct agent *agent);
bool agent_wants_reload(struct agent *agent); /* a command asked for it; tells once */
void agent_report_reload(struct agent *agent, enum error_code code, const char *message); /* answers that command */
void agent_describe(struct agent *agent, char *text, size_t capacity); /* one line for systemd's status */

#endif
