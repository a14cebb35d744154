#pragma once

// Marks on rare paths. A simulation that never comes by one of them has a hole, and says so. They count in builds with
// CHAISE_PROBES (preset sim), and are nothing at all in others.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace chaise::detail {

#define CHAISE_PROBE_LIST(X)                                                                        \
    X(request_cut_by_a_full_pipe)   /* a part of a request was written, the rest waits */           \
    X(bootstrap_cut_by_a_full_pipe) /* the same while the connection is made */                     \
    X(second_address_tried)                                                                         \
    X(connect_timed_out)                                                                            \
    X(bootstrap_timed_out)                                                                          \
    X(loss_while_bootstrapping)                                                                     \
    X(sent_write_lost)       /* not to be repeated: an error that says that it may have happened */ \
    X(sent_read_repeated)    /* after its connection was lost */                                    \
    X(lost_while_draining)   /* the connection of a node that had left the map */                   \
    X(silence_found)         /* a peer that answers nothing, or takes nothing */                    \
    X(late_response_skipped) /* of an operation that nobody waits for any more */                   \
    X(stray_response)        /* to nobody at all */                                                 \
    X(other_opcode)          /* a response to another operation than the request */                 \
    X(map_refused)           /* older, broken, or another bucket's */                               \
    X(push_told_news)        /* a notification without a map: it was asked for */                   \
    X(not_mine_with_news)                                                                           \
    X(not_mine_without_news)                                                                        \
    X(asked_the_heir) /* the fast-forward map's node */                                             \
    X(waited_for_news)                                                                              \
    X(unsent_rerouted) /* the map changed before it was sent */                                     \
    X(node_left_with_unsent)                                                                        \
    X(refresh_went_elsewhere) /* who was asked for the map did not answer */                        \
    X(tried_later)            /* an answer that says "not now" */                                   \
    X(no_time_to_try_again)                                                                         \
    X(expired_before_sent)                                                                          \
    X(expired_after_sent)                                                                           \
    X(expired_resting)                                                                              \
    X(cancelled_after_sent)                                                                         \
    X(queue_was_full)                                                                               \
    X(returned_to_seeds)  /* no node of the map could be reached */                                 \
    X(attempt_held_back)  /* the node was connected to too often */                                 \
    X(http_legacy_stream) /* a server that does not know the terse one */

enum class Probe : std::size_t {
#define CHAISE_X(name) name,
    CHAISE_PROBE_LIST(CHAISE_X)
#undef CHAISE_X
};

inline constexpr std::string_view probe_names[] = {
#define CHAISE_X(name) #name,
    CHAISE_PROBE_LIST(CHAISE_X)
#undef CHAISE_X
};
inline constexpr std::size_t probe_count = sizeof probe_names / sizeof probe_names[0];

/// Of a simulation, which is one thread.
inline std::array<std::uint64_t, probe_count> probe_hits{};

#ifdef CHAISE_PROBES
#define CHAISE_PROBE(name) (++::chaise::detail::probe_hits[static_cast<std::size_t>(::chaise::detail::Probe::name)])
#else
#define CHAISE_PROBE(name) static_cast<void>(0)
#endif

}  // namespace chaise::detail
