#include "sync/holder.hpp"

#include "sched/describe.hpp"

namespace coir::detail {

std::string describe_holder(holder who) {
    if ((who & is_thread) != 0)
        return "a thread without a loop";
    return describe(*reinterpret_cast<const fiber_base*>(who));
}

} // namespace coir::detail
