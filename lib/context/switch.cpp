#include "context/switch.hpp"

#include <cxxabi.h>

namespace coir::detail {
namespace {

constinit exception_globals never_empty{&never_empty, 0};

} // namespace

constinit thread_local exception_globals* remembered_exceptions = &never_empty;

exception_globals& thread_exceptions() {
    if (remembered_exceptions == &never_empty)
        remembered_exceptions = reinterpret_cast<exception_globals*>(abi::__cxa_get_globals());
    return *remembered_exceptions;
}

void switch_execution(execution& from, execution& to) {
    return switch_stacks(*remembered_exceptions, from, to);
}

void switch_with_exceptions(execution& from, execution& to) noexcept {
    exception_globals kept;
    exchange_exceptions(thread_exceptions(), kept, from, to);
    coir_switch(&from.stack_pointer, to.stack_pointer);
}

} // namespace coir::detail
