#include "loaded_library.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <elf.h>
#include <filesystem>
#include <link.h>
#include <span>
#include <string_view>

namespace selftest {
namespace {

// <elf.h> of Debian 12 has these for x86 only.
constexpr std::uint32_t x86_feature_1_and = 0xc0000002;
constexpr std::uint32_t aarch64_feature_1_and = 0xc0000000;

constexpr std::size_t rounded_up(std::size_t size, std::size_t alignment) {
    return (size + alignment - 1) / alignment * alignment;
}

std::uint32_t word_at(std::span<const std::byte> bytes, std::size_t offset) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.subspan(offset).data(), sizeof word);
    return word;
}

/// The description of a note of type NT_GNU_PROPERTY_TYPE_0: properties, each of type, size, and data that is padded to
/// 8 bytes.
std::optional<std::uint32_t> features_in(std::span<const std::byte> properties) {
    while (properties.size() >= 8) {
        const std::uint32_t type = word_at(properties, 0);
        const std::size_t size = word_at(properties, 4);
        if (size > properties.size() - 8)
            return {};
        if ((type == x86_feature_1_and || type == aarch64_feature_1_and) && size == 4)
            return word_at(properties, 8);
        properties = properties.subspan(std::min(properties.size(), 8 + rounded_up(size, 8)));
    }
    return {};
}

/// A segment of notes: size of the name, size of the description, type, name, description.
std::optional<std::uint32_t> features_of(std::span<const std::byte> notes, std::size_t alignment) {
    while (notes.size() >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note{};
        std::memcpy(&note, notes.data(), sizeof note);
        const std::size_t name = sizeof note;
        const std::size_t description = rounded_up(name + note.n_namesz, alignment);
        if (description + note.n_descsz > notes.size())
            return {};
        if (note.n_type == NT_GNU_PROPERTY_TYPE_0 && note.n_namesz == 4 &&
            std::memcmp(notes.subspan(name).data(), "GNU", 4) == 0)
            return features_in(notes.subspan(description, note.n_descsz));
        notes = notes.subspan(std::min(notes.size(), rounded_up(description + note.n_descsz, alignment)));
    }
    return {};
}

struct search {
    std::string_view name;
    loaded_library found;
};

int look_at(dl_phdr_info* object, std::size_t /*size*/, void* argument) {
    auto& [name, found] = *static_cast<search*>(argument);
    const std::string_view path = object->dlpi_name;
    if (!path.substr(path.rfind('/') + 1).starts_with(name))
        return 0;
    found.path = std::filesystem::weakly_canonical(path).string();
    found.begin = UINTPTR_MAX;
    for (const ElfW(Phdr) & segment : std::span{object->dlpi_phdr, object->dlpi_phnum}) {
        const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
        if (segment.p_type == PT_LOAD) {
            found.begin = std::min(found.begin, begin);
            found.end = std::max(found.end, begin + segment.p_memsz);
        } else if (segment.p_type == PT_NOTE && !found.features) {
            found.features = features_of({reinterpret_cast<const std::byte*>(begin), segment.p_memsz},
                                         std::max<std::size_t>(segment.p_align, 4));
        }
    }
    return 1;
}

loaded_library find(std::string_view name) {
    search result{name, {}};
    ::dl_iterate_phdr(look_at, &result);
    return result.found;
}

} // namespace

const loaded_library& libcoir() {
    static const loaded_library found = find("libcoir.so");
    return found;
}

const loaded_library& library_of_entry() {
    static const loaded_library found = find(COIR_LIBRARY_OF_ENTRY);
    return found;
}

} // namespace selftest
