#include "base/diagnostic.hpp"
#include "base/immortal.hpp"
#include "base/thread_end.hpp"
#include "base/throw_cancelled.hpp"
#include "sched/describe.hpp"
#include "sched/fiber_main.hpp"
#include "sched/fiber_storage.hpp"
#include "sched/loop.hpp"

#include <coir/cancelled.hpp>

#include <cstdlib>
#include <cxxabi.h>
#include <exception>
#include <typeinfo>

/// \file
/// An exception that leaves a joinable fiber is kept for join(). One that leaves a detached fiber has nobody to go to: the
/// program terminates, and whoever reads the core wants the stack of the `throw`, which a catch (...) would have unwound
/// (hazard A6). Whether there is a handle is known only when the exception is thrown.
///
/// The unwinder works in two phases: it first searches for a handler, calling the personality routine of each frame, and
/// unwinds only if it finds one. libstdc++'s personality asks the type_info of the *handler* whether it catches
/// (type_info::__do_catch). So a handler whose type_info decides at run time is a filter that runs with the throw site
/// still on the stack. `kept_exception` below is such a type: declared, never defined, its type_info supplied by us.
///
/// Forced unwinding (pthread_exit(), pthread_cancel()) asks the handlers, too, on its one way down.

namespace coir::detail {
namespace {

void report_uncaught(const fiber_base& fiber) noexcept {
    report([&] { return describe(fiber) + ", which is detached, ends by an uncaught exception"; },
           "a detached fiber ends by an uncaught exception");
}

} // namespace
} // namespace coir::detail

#if defined(__GLIBCXX__)

namespace coir::detail {

/// Handler type that catches what the running fiber keeps, see above. The virtual function is never defined: with it, the
/// compiler expects the type_info in the (missing) file that would define it.
class kept_exception {
public:
    virtual ~kept_exception();
};

/// type_info of kept_exception. Not in a nameless namespace: with it the object below would be local to this file, and
/// link-time optimisation then does not take it for what the handler refers to.
class filter final : public std::type_info {
public:
    filter() : std::type_info("N4coir6detail14kept_exceptionE") {}
    bool __do_catch(const std::type_info* thrown, void** object, unsigned outer) const override;
};

// Also what is derived from it.
bool is_type_of_cancelled(const std::type_info& thrown, void* object) {
    return typeid(cancelled).__do_catch(&thrown, &object, 1);
}

bool filter::__do_catch(const std::type_info* thrown, void** object, unsigned /*outer*/) const {
    if (*thrown == typeid(abi::__forced_unwind)) // which `cancelled` is not, but derived from
        die_of_thread_end();
    const fiber_base& fiber = loop::current()->running();
    if (fiber.has_handle || is_type_of_cancelled(*thrown, *object))
        return true;
    report_uncaught(fiber);
    return false;
}

// The symbol the compiler refers to in `catch (kept_exception&)`. Made before other static objects: their constructors may run
// loops (hazard G9).
extern const immortal<filter> kept_exception_type asm("_ZTIN4coir6detail14kept_exceptionE");
[[gnu::init_priority(101)]] const immortal<filter> kept_exception_type;

} // namespace coir::detail

#else

namespace coir::detail {
namespace {

struct kept_exception {};

} // namespace
} // namespace coir::detail

#endif

namespace coir::detail {

void run_function(fiber_base& fiber) {
    try {
        fiber.call();
    } catch (kept_exception&) {
        // Detached since the filter was asked, by somebody who ran while a destructor waited: the stack is gone already.
        if (!fiber.has_handle && !is_cancelled(std::current_exception())) {
            report_uncaught(fiber);
            std::terminate();
        }
        fiber.failure = std::current_exception();
    }
    if (!fiber.has_handle)
        fiber.discard_result();
    if (fiber.storage)
        destroy_locals(fiber);
}

} // namespace coir::detail
