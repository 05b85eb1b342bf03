#include <coir/cancelled.hpp>

#include "base/immortal.hpp"
#include "base/throw_cancelled.hpp"

#include <coir/transfer_cancelled.hpp>

#include <cxxabi.h>
#include <new>
#include <typeinfo>

namespace coir {

cancelled::~cancelled() = default;

const char* cancelled::what() const noexcept {
    return "coir: cancelled";
}

io::transfer_cancelled::~transfer_cancelled() = default;

const char* io::transfer_cancelled::what() const noexcept {
    return "coir: cancelled in the middle of a transfer";
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

// An ordinary `throw cancelled{}` is eaten by every catch (...) without rethrow, of which libstdc++ has several:
// operator<<, packaged_task. They all rethrow abi::__forced_unwind, which cannot be derived from (its destructor is
// private). So the object is thrown with the type_info that the compiler would have made for
// `class cancelled : public abi::__forced_unwind`: the name of cancelled, hence caught as cancelled, and that base,
// hence rethrown by libstdc++. A real _Unwind_ForcedUnwind would do neither: it cannot be caught by type, and it ends
// in std::terminate when it meets a catch (...) inside another handler (hazard A4).
struct thrown_type final : abi::__si_class_type_info {
    thrown_type()
        : __si_class_type_info(typeid(cancelled).name(),
                               static_cast<const abi::__class_type_info*>(&typeid(abi::__forced_unwind))) {}
};

// Made before other static objects, whose constructors may run loops (hazard G9); and before there may be no memory for it.
[[gnu::init_priority(101)]] static immortal<thrown_type> type_of_cancelled;

// As if derived from the class that is described there.
struct thrown_transfer_type final : abi::__si_class_type_info {
    thrown_transfer_type() : __si_class_type_info(typeid(io::transfer_cancelled).name(), &type_of_cancelled.object) {}
};

[[gnu::init_priority(102)]] static immortal<thrown_transfer_type> type_of_transfer_cancelled;

namespace {

template <class Exception> void destroy(void* object) {
    static_cast<Exception*>(object)->~Exception();
}

template <class Exception> [[noreturn]] void throw_as(std::type_info& type, const Exception& exception) {
    void* object = abi::__cxa_allocate_exception(sizeof(Exception));
    new (object) Exception(exception);
    abi::__cxa_throw(object, &type, destroy<Exception>);
}

} // namespace

void throw_cancelled() {
    throw_as(type_of_cancelled.object, cancelled{});
}

void throw_transfer_cancelled(std::size_t bytes_transferred) {
    throw_as(type_of_transfer_cancelled.object, io::transfer_cancelled{bytes_transferred});
}

#else

void throw_cancelled() {
    throw cancelled{};
}

void throw_transfer_cancelled(std::size_t bytes_transferred) {
    throw io::transfer_cancelled{bytes_transferred};
}

#endif

} // namespace detail
} // namespace coir
