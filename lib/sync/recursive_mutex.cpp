#include <coir/recursive_mutex.hpp>

#include <limits>
#include <system_error>

namespace coir {

bool recursive_mutex::lock_again() {
    if (!mutex_.is_held())
        return false;
    if (again_ == std::numeric_limits<unsigned>::max())
        throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again),
                                "coir: a recursive_mutex has been locked too often");
    ++again_;
    return true;
}

void recursive_mutex::lock() {
    if (!lock_again())
        mutex_.lock();
}

bool recursive_mutex::try_lock() {
    return lock_again() || mutex_.try_lock();
}

bool recursive_mutex::try_lock_until(deadline until) {
    return lock_again() || mutex_.try_lock_until(until);
}

void recursive_mutex::unlock() {
    if (!mutex_.is_held() || again_ == 0)
        return mutex_.unlock();
    --again_;
}

} // namespace coir
