#include <coir/detail/readiness_case.hpp>

#include "io/errors.hpp"
#include "io/ev_driver.hpp"
#include "io/place.hpp"
#include "io/transfer.hpp"
#include "sched/loop.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

namespace coir::detail {
namespace {

direction way_of(bool for_writing) noexcept {
    return for_writing ? direction::write : direction::read;
}

[[noreturn]] void throw_unwatchable(int error, bool for_writing, int number) {
    throw std::system_error(error_code_of(error), (for_writing ? "select: io::writable" : "select: io::readable") +
                                                      place_of(number, error_code_of(error)));
}

} // namespace

readiness_case::readiness_case(int descriptor, bool for_writing) noexcept
    : selectable(for_writing ? wait_kind::writable : wait_kind::readable,
                 reinterpret_cast<const void*>(static_cast<std::intptr_t>(descriptor))),
      number_(descriptor), for_writing_(for_writing) {}

bool readiness_case::try_now() {
    static_cast<void>(loop::of_running_fiber("io::readable"));
    if (const int error = std::exchange(refused_, 0))
        throw_unwatchable(error, for_writing_, number_);
    if (asking{way_of(for_writing_)}.attempt(descriptor_kind::borrowed, number_) == 1)
        return true;
    if (errno != EAGAIN && errno != EINTR)
        throw_unwatchable(errno, for_writing_, number_);
    return false;
}

bool readiness_case::enter() noexcept {
    loop& here = *loop::current();
    descriptor_table& table = descriptors_of(here);
    descriptor_slot* slot = table.find(number_);
    if (!slot)
        slot = table.obtain(number_, refused_);
    if (!slot)
        return false;
    generation_ = slot->generation;
    slot->enter(record(), way_of(for_writing_), false, here);
    table.watch(*slot, slot->side(way_of(for_writing_)));
    return true;
}

void readiness_case::leave() noexcept {
    if (record().is_linked())
        record().unlink();
    descriptor_table& table = descriptors_of(*loop::current());
    if (descriptor_slot* slot = table.find(number_); slot->generation == generation_)
        table.left(*slot, slot->side(way_of(for_writing_)));
}

bool readiness_case::complete(wake_reason why) {
    descriptor_table& table = descriptors_of(*loop::current());
    descriptor_slot& slot = *table.find(number_);
    if (slot.generation != generation_)
        throw_unwatchable(EBADF, for_writing_, number_);
    if (why == wake_reason::closed)
        throw_unwatchable(slot.refused, for_writing_, number_);
    descriptor_side& side = slot.side(way_of(for_writing_));
    --side.called;
    if (side.has_waiters() && side.called == 0)
        side.call_next(*loop::current()); // it was called in their place, and takes nothing
    return try_now();
}

} // namespace coir::detail
