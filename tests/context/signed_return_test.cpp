// Pointer authentication: the return address in a suspended frame is signed for the place where it is, and another is not
// accepted (asm/aarch64_aapcs64.S).

#include "child_process.hpp"
#include "context/floating_point.hpp"
#include "context/frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <sys/auxv.h>
#include <vector>

namespace {

constexpr unsigned long hwcap_paca = 1UL << 30;

/// An execution without anything around the switch, which switches back each time.
class partner {
public:
    explicit partner(std::size_t colour) {
        std::byte* const top = stack_.data() + stack_.size() - 16 * colour;
        inside_ = coir::detail::make_first_frame(stack_.data(), top, coir::detail::current_control_words(), run, this);
    }

    void resume() { coir_switch(&outside_, inside_); }

    [[nodiscard]] std::uintptr_t& return_address() { return static_cast<std::uintptr_t*>(inside_)[1]; }

    /// The address without its signature.
    [[nodiscard]] std::uintptr_t stripped() {
        std::uintptr_t address = return_address();
        asm("mov x30, %0\n\t"
            "hint #7\n\t" // xpaclri
            "mov %0, x30"
            : "+r"(address)
            :
            : "x30");
        return address;
    }

    /// A signature has 7 bits or more, depending on how large addresses are: now and then it is that of none.
    [[nodiscard]] bool shows_signature() { return return_address() != stripped(); }

private:
    static void run(void* argument) {
        auto& self = *static_cast<partner*>(argument);
        for (;;)
            coir_switch(&self.inside_, self.outside_);
    }

    alignas(16) std::array<std::byte, 32 * 1024> stack_{};
    void* outside_ = nullptr;
    void* inside_ = nullptr;
};

class signed_return : public testing::Test {
protected:
    signed_return() {
        for (std::size_t colour = 0; colour < 16; ++colour)
            partners_.push_back(std::make_unique<partner>(colour));
    }
    void SetUp() override {
        if ((::getauxval(AT_HWCAP) & hwcap_paca) == 0)
            GTEST_SKIP() << "this processor does not sign";
    }
    std::ptrdiff_t how_many_show_a_signature() {
        return std::count_if(partners_.begin(), partners_.end(), [](auto& each) { return each->shows_signature(); });
    }

    std::vector<std::unique_ptr<partner>> partners_;
};

TEST_F(signed_return, of_a_fresh_frame_is_the_entry) {
    std::uintptr_t entry = 0;
    void (*const function)() = coir_entry;
    std::memcpy(&entry, &function, sizeof entry);
    for (auto& each : partners_)
        EXPECT_EQ(each->stripped(), entry);
    EXPECT_GE(how_many_show_a_signature(), 12);
}

TEST_F(signed_return, of_a_suspended_frame_is_accepted) {
    for (int i = 0; i < 3; ++i) {
        for (auto& each : partners_)
            each->resume();
        EXPECT_GE(how_many_show_a_signature(), 12);
    }
}

TEST_F(signed_return, that_somebody_else_wrote_is_refused) {
    for (auto& each : partners_) {
        each->resume();
        if (!each->shows_signature())
            continue;
        const auto end = in_child([&] {
            each->return_address() = each->stripped(); // the right place, without a signature
            each->resume();
            return true;
        });
        EXPECT_TRUE(end.was_killed_by(SIGSEGV) || end.was_killed_by(SIGILL)) << end.status;
        each->resume();
    }
}

} // namespace
