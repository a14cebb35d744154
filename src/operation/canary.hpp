#pragma once

// Bugs that are planted on purpose, one at a time, by -DCHAISE_CANARY=1 … 5: the simulator must find each of them
// (tools/canaries). Nothing of them is in other builds.

namespace chaise::detail {

#ifndef CHAISE_CANARY
#define CHAISE_CANARY 0
#endif

namespace canary {

enum Bug : int {
    none,
    slot_not_abandoned,     ///< what nobody waits for any more gives its slot away before its response has come
    timer_not_cancelled,    ///< the limit on connecting goes on when there is a connection
    config_compared_wrong,  ///< a map is taken for its revision alone, whatever is known already
    write_retried,          ///< what was sent is sent again after a lost connection, idempotent or not
    wake_up_lost,           ///< a connection that takes bytes again is not given any
};

}  // namespace canary

/// The one in this build. Of each source's own: only those that name it are compiled anew.
constexpr int planted = CHAISE_CANARY;

}  // namespace chaise::detail
