#include "io/file_threads.hpp"

#include "base/made_once.hpp"
#include "io/operation.hpp"

#include <coir/offload.hpp>

#include <cerrno>
#include <memory>
#include <new>
#include <system_error>

namespace coir::detail {
namespace {

// They mostly wait for a device, which does better the more it is asked at a time.
constexpr std::size_t most_threads = 16;

// Not the common pool: long computations there would keep files waiting.
std::unique_ptr<offload_pool> make_pool() {
    return std::make_unique<offload_pool>(offload_options{.most_threads = most_threads, .name = "coir-files"});
}

} // namespace

int lend_to_thread(loop& here, offloaded_call& call, deadline until) noexcept {
    if (here.refuses())
        return was_cancelled;
    try {
        switch (made_once<make_pool>().lend(call, until)) {
        case wake_reason::cancelled:
            return was_cancelled;
        case wake_reason::timed_out:
            return ETIMEDOUT;
        default:
            return 0;
        }
    } catch (const std::system_error& failure) {
        return failure.code().value();
    } catch (const std::bad_alloc&) {
        return ENOMEM;
    }
}

} // namespace coir::detail
