/// Reads the files of a directory, up to 16 at once, and prints the CRC-32 of each (that of zlib and PNG). While one fiber waits
/// for the disk the others go on.
///
///     checksum_files DIRECTORY

#include <coir/coir.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <iostream>
#include <span>
#include <vector>

namespace {

class crc32 {
public:
    void add(std::span<const std::byte> bytes) {
        for (const std::byte each : bytes) {
            value_ ^= std::to_integer<std::uint32_t>(each);
            for (int bit = 0; bit < 8; ++bit)
                value_ = (value_ >> 1U) ^ ((value_ & 1U) != 0 ? 0xEDB88320U : 0U);
        }
    }
    [[nodiscard]] std::uint32_t value() const { return ~value_; }

private:
    std::uint32_t value_ = 0xFFFFFFFFU;
};

std::uint32_t checksum(const std::filesystem::path& path) {
    const coir::io::file opened{path};
    std::vector<std::byte> buffer(64 * 1024);
    crc32 sum;
    std::uint64_t offset = 0;
    while (const std::size_t n = opened.read_at(buffer, offset)) {
        sum.add(std::span{buffer}.first(n));
        offset += n;
        coir::this_fiber::yield(); // adding up is work: the others get their turn
    }
    return sum.value();
}

void print_checksums(const std::filesystem::path& directory) {
    coir::task_group group{.max_concurrent = 16};
    for (const coir::io::directory_entry& entry : coir::io::list_directory(directory))
        if (entry.type == std::filesystem::file_type::regular)
            group.spawn([path = directory / entry.name] {
                const std::uint32_t sum = checksum(path);
                std::cout << std::hex << sum << "  " << path.string() << '\n';
            });
    group.join(); // the first file that cannot be read ends the others
}

} // namespace

int main(int argc, char** argv) try {
    coir::run([&] { print_checksums(argc > 1 ? argv[1] : "."); });
} catch (const std::exception& error) {
    std::cerr << "checksum_files: " << error.what() << '\n';
    return 1;
}
