#pragma once

#include "io/descriptors.hpp"

#include <coir/descriptor.hpp>
#include <coir/run.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace coir::test {

/// Each test runs on a bare int and on an owner of it.
enum class held { borrowed, owned };

class holding : public descriptors, public testing::WithParamInterface<held> {
protected:
    /// The number to use; with an owner if that is what is tested.
    int hold(raw& made) {
        if (GetParam() == held::borrowed)
            return made.get();
        return owners_.emplace_back(made.take()).get();
    }

    template <class Body> void run(Body body) {
        coir::run([&] {
            body();
            owners_.clear();
        });
    }

    std::vector<io::descriptor> owners_;
};

} // namespace coir::test
