#pragma once

#include <coir/deadline.hpp>
#include <coir/file.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

namespace coir::io {

/// Reads a file as a stream, from a position that advances with each read; for use with buffered_reader, and through it with
/// copy(). Unlike io::copy() and io::send_file() of the bare descriptor, it makes only its fiber wait for the disk. The file
/// object must outlive the reader, and not be moved. The descriptor's own position (lseek) is not used: each reader has its
/// own.
///
/// Suspension, deadline, cancellation, errors: as io::file::read_at(). To be used by one fiber at a time.
///
///     const coir::io::file page{"index.html"};
///     coir::io::file_reader content{page};
///     coir::io::buffered_reader pieces{content, 64 * 1024};
///     coir::io::copy(pieces, client);
class file_reader {
public:
    explicit file_reader(const file& source, std::uint64_t position = 0) noexcept
        : source_(&source), position_(position) {}
    explicit file_reader(const file&& source, std::uint64_t position = 0) = delete; // it would be gone

    /// Where the next call reads.
    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
    void seek(std::uint64_t position) noexcept { position_ = position; }

    /// Reads at least one byte, and usually all that the buffer has room for; 0 at the end (or for an empty buffer); if the
    /// file has grown, later calls continue there. On an error the position does not change.
    std::size_t read_some(std::span<std::byte> buffer, deadline until = {}) {
        return advance(source_->read_at(buffer, position_, until));
    }
    std::size_t read_some(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept {
        return advance(source_->read_at(buffer, position_, error, until));
    }

private:
    std::size_t advance(std::size_t size) noexcept {
        position_ += size;
        return size;
    }

    const file* source_;
    std::uint64_t position_;
};

} // namespace coir::io
