#include <coir/cancelled.hpp>

#include "base/made_once.hpp"
#include "base/throw_cancelled.hpp"

#include <cxxabi.h>
#include <memory>
#include <new>
#include <typeinfo>

namespace coir {

cancelled::~cancelled() = default;

const char* cancelled::what() const noexcept {
    return "coir: cancelled";
}

namespace detail {

bool is_cancelled(const std::exception_ptr& failure) noexcept {
    try {
        std::rethrow_exception(failure);
    } catch (const cancelled&) {
        return true;
    } catch (...) {
        return false;
    }
}

#if defined(__GLIBCXX__)

namespace {

void destroy_cancelled(void* object) {
    static_cast<cancelled*>(object)->~cancelled();
}

std::unique_ptr<abi::__si_class_type_info> make_thrown_type() {
    return std::make_unique<abi::__si_class_type_info>(
        typeid(cancelled).name(), static_cast<const abi::__class_type_info*>(&typeid(abi::__forced_unwind)));
}

} // namespace

// An ordinary `throw cancelled{}` is eaten by every catch (...) without rethrow, of which libstdc++ has several:
// operator<<, packaged_task. They all rethrow abi::__forced_unwind, which cannot be derived from (its destructor is
// private). So the object is thrown with the type_info that the compiler would have made for
// `class cancelled : public abi::__forced_unwind`: the name of cancelled, hence caught as cancelled, and that base,
// hence rethrown by libstdc++. A real _Unwind_ForcedUnwind would do neither: it cannot be caught by type, and it ends
// in std::terminate when it meets a catch (...) inside another handler (hazard A4).
void throw_cancelled() {
    void* object = abi::__cxa_allocate_exception(sizeof(cancelled));
    new (object) cancelled;
    abi::__cxa_throw(object, &made_once<make_thrown_type>(), destroy_cancelled);
}

#else

void throw_cancelled() {
    throw cancelled{};
}

#endif

} // namespace detail
} // namespace coir
