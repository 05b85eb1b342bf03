#include "io/file_operation.hpp"

#include "io/ev_driver.hpp"
#include "io/file_ring.hpp"
#include "io/file_threads.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace coir::detail {
namespace {

std::int64_t system_call(const file_operation& operation) noexcept {
    const auto offset = static_cast<off_t>(operation.offset);
    const auto length = static_cast<off_t>(operation.length);
    switch (operation.what) {
    case file_operation::call::open:
        return ::openat(AT_FDCWD, operation.path, operation.flags, operation.mode);
    case file_operation::call::close:
        return ::close(operation.number);
    case file_operation::call::read:
        return ::preadv(operation.number, operation.pieces, operation.piece_count, offset);
    case file_operation::call::write:
        return ::pwritev(operation.number, operation.pieces, operation.piece_count, offset);
    case file_operation::call::sync:
        return ::fsync(operation.number);
    case file_operation::call::sync_data:
        return ::fdatasync(operation.number);
    case file_operation::call::status:
        return ::statx(operation.number, operation.path, operation.flags, STATX_BASIC_STATS | STATX_BTIME,
                       operation.status);
    case file_operation::call::allocate:
        return ::fallocate(operation.number, 0, offset, length);
    case file_operation::call::truncate:
        return ::ftruncate(operation.number, length);
    case file_operation::call::rename:
        return ::rename(operation.path, operation.second_path);
    case file_operation::call::remove:
        return ::unlinkat(AT_FDCWD, operation.path, operation.flags);
    case file_operation::call::create_directory:
        return ::mkdir(operation.path, operation.mode);
    }
    errno = ENOSYS;
    return -1;
}

class call_on_thread final : public offloaded_call {
public:
    explicit call_on_thread(file_operation& operation) noexcept : operation_(operation) {}
    void call() override { make_system_call(operation_); }

private:
    file_operation& operation_;
};

} // namespace

void make_system_call(file_operation& operation) noexcept {
    do {
        operation.result = system_call(operation);
        if (operation.result == -1)
            operation.result = -errno;
    } while (operation.result == -EINTR && operation.what != file_operation::call::close); // which has closed it
}

int perform(loop& here, file_operation& operation, deadline until) noexcept {
    if (!until.is_never() && until.has_passed())
        return ETIMEDOUT;
    file_ring* const ring = static_cast<ev_driver&>(here.driver()).files();
    int error = 0;
    if (ring && ring->knows(operation.what)) {
        error = ring->carry_out(here, operation, until);
    } else {
        call_on_thread call{operation};
        error = lend_to_thread(here, call, until);
    }
    if (error != 0)
        return error;
    return operation.result < 0 ? static_cast<int>(-operation.result) : 0;
}

} // namespace coir::detail
