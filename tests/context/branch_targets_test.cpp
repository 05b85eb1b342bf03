// Branch target identification: where the kernel checks indirect branches, all of them into the library must land on landing
// pads (hazard B4). The library is put under the check by hand, whatever its mark says: the mark is given by the linker, and
// only where the compiler's own startup files have it.

#include "child_process.hpp"

#include <coir/context.hpp>

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <link.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace {

using coir::context;

// Of newer headers than Debian 12 has to have.
constexpr int prot_bti = 0x10;
constexpr unsigned long hwcap2_bti = 1UL << 17;

struct code {
    std::byte* begin;
    std::size_t size;
};

/// The executable segments of libcoir.so, in whole pages.
std::vector<code> code_of_library() {
    std::vector<code> found;
    ::dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t /*size*/, void* result) {
            if (std::string_view{object->dlpi_name}.find("/libcoir.so") == std::string_view::npos)
                return 0;
            const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
            for (int i = 0; i < object->dlpi_phnum; ++i) {
                const auto& segment = object->dlpi_phdr[i];
                if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0)
                    continue;
                const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) / page * page;
                const std::uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
                static_cast<std::vector<code>*>(result)->push_back({reinterpret_cast<std::byte*>(begin), end - begin});
            }
            return 1;
        },
        &found);
    return found;
}

/// Branches into the library are checked while one of these exists: not at exit, where the compiler's own code in it runs.
class branch_targets : public testing::Test {
protected:
    branch_targets() {
        // The first one calls pthread_atfork(), which the C library has linked into ours, and Debian's is not marked.
        const context first{[](context::self&) {}};
        for (const auto& [begin, size] : code_)
            protect(begin, size, PROT_READ | PROT_EXEC | prot_bti);
    }
    ~branch_targets() override {
        for (const auto& [begin, size] : code_)
            protect(begin, size, PROT_READ | PROT_EXEC);
    }
    branch_targets(const branch_targets&) = delete;
    branch_targets& operator=(const branch_targets&) = delete;

    void SetUp() override {
        if ((::getauxval(AT_HWCAP2) & hwcap2_bti) == 0)
            GTEST_SKIP() << "this processor does not check branch targets";
        ASSERT_FALSE(code_.empty());
    }

    static void protect(void* begin, std::size_t size, int protection) {
        if (::mprotect(begin, size, protection) != 0)
            std::abort();
    }

private:
    std::vector<code> code_ = code_of_library();
};

/// Calls a function of these two instructions through a pointer, in memory that is checked.
bool can_be_called(std::array<std::uint32_t, 2> instructions) {
    void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memcpy(memory, instructions.data(), sizeof instructions);
    __builtin___clear_cache(static_cast<char*>(memory), static_cast<char*>(memory) + sizeof instructions);
    if (::mprotect(memory, 4096, PROT_READ | PROT_EXEC | prot_bti) != 0)
        std::abort();
    void (*function)() = nullptr;
    std::memcpy(&function, &memory, sizeof function);
    const auto end = in_child([=] {
        function();
        return true;
    });
    ::munmap(memory, 4096);
    EXPECT_TRUE(end.exited_well() || end.was_killed_by(SIGILL));
    return end.exited_well();
}

// Without this the other tests would prove nothing.
TEST_F(branch_targets, are_checked_here) {
    constexpr std::uint32_t bti_c = 0xd503245f;
    constexpr std::uint32_t nop = 0xd503201f;
    constexpr std::uint32_t ret = 0xd65f03c0;
    EXPECT_TRUE(can_be_called({bti_c, ret}));
    EXPECT_FALSE(can_be_called({nop, ret}));
}

TEST_F(branch_targets, of_contexts_are_landing_pads) {
    int sum = 0;
    context inside{[&](context::self& self) {
        for (int i = 0; i < 10; ++i) {
            sum += i;
            self.suspend();
        }
    }};
    while (inside.resume())
        ++sum;
    EXPECT_EQ(sum, 55);
}

TEST_F(branch_targets, of_exceptions_are_landing_pads) {
    std::string caught;
    bool unwound = false;
    {
        struct sets {
            bool& value;
            ~sets() { value = true; }
        };
        context abandoned{[&](context::self& self) {
            const sets at_end{unwound};
            self.suspend();
        }};
        abandoned.resume();
        context throwing{[](context::self& self) {
            try {
                throw std::runtime_error("inside");
            } catch (const std::runtime_error&) {
                self.suspend();
                throw;
            }
        }};
        throwing.resume();
        try {
            throwing.resume();
        } catch (const std::runtime_error& error) {
            caught = error.what();
        }
    }
    EXPECT_EQ(caught, "inside");
    EXPECT_TRUE(unwound);
}

} // namespace
