#pragma once

#include <coir/detail/selectable.hpp>
#include <coir/export.hpp>

#include <cstdint>

namespace coir::detail {

/// That a descriptor is ready, as a case of select(). Takes nothing, so it neither queues behind readers nor calls them.
class COIR_EXPORT readiness_case final : public selectable {
public:
    readiness_case(int descriptor, bool for_writing) noexcept;
    bool try_now() override;
    bool enter() noexcept override;
    void leave() noexcept override;
    bool complete(wake_reason why) override;

private:
    const int number_;
    const bool for_writing_;
    std::uint32_t generation_ = 0; ///< of the number, when it was entered
    int refused_ = 0;              ///< why it cannot be waited for: an errno
};

} // namespace coir::detail
