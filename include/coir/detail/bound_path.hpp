#pragma once

#include <coir/export.hpp>

#include <memory>

namespace coir::detail {

struct bound_file;

/// The path that a socket was bound to: the destructor removes it, if it is still the same file and this is still the same
/// process. lib/net/unix_socket.cpp.
class COIR_EXPORT bound_path {
public:
    bound_path() noexcept;
    /// Takes ownership of what is known about the file.
    explicit bound_path(std::unique_ptr<bound_file> file) noexcept;
    bound_path(bound_path&& other) noexcept;
    bound_path& operator=(bound_path&& other) noexcept;
    ~bound_path();

    void remove() noexcept;
    /// From now on the path will not be removed.
    void keep() noexcept;

private:
    std::unique_ptr<bound_file> file_; // null: nothing to be removed
};

} // namespace coir::detail
