#pragma once

namespace coir::detail {

/// A static object that is never destroyed: other static objects may use it in their destructors, and threads while the
/// process ends (hazard G9). Is made where a T would be; before main() begins, without code, if T has a constexpr constructor.
template <class T> union immortal {
    constexpr immortal() : object{} {}
    constexpr ~immortal() {} // NOLINT(modernize-use-equals-default): that would be deleted

    T object;
};

} // namespace coir::detail
