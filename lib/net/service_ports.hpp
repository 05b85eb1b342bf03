#pragma once

#include "net/file_stamp.hpp"
#include "sched/loop_driver.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace coir::detail {

/// The ports that names stand for, of TCP, or else of UDP. Reads /etc/services when a name is asked for the first time after a change
/// of that file, which is noticed within a second; so the thread does not read a file for each connection. Names that are not found
/// are looked for again: perhaps the file could not be read.
class service_ports {
public:
    using reader = std::uint16_t(const char* name) noexcept;

    /// `file` is what is looked at for changes; `read` is for tests.
    explicit service_ports(const char* file = "/etc/services", reader* read = read_port) noexcept
        : file_(file), read_(read) {}

    /// 0: no such name. Throws std::bad_alloc.
    [[nodiscard]] std::uint16_t find(std::string_view name, loop_time now);

private:
    static std::uint16_t read_port(const char* name) noexcept;

    const char* file_;
    reader* read_;
    std::map<std::string, std::uint16_t, std::less<>> known_;
    file_stamp stamp_;
    loop_time next_look_ = without_waiting;
};

} // namespace coir::detail
