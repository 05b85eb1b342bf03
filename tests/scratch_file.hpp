#pragma once

#include "scratch_folder.hpp"

#include <fstream>
#include <string>

namespace coir::test {

/// A file of the test's own, which holds `text` at first, and is removed at the end.
class scratch_file {
public:
    explicit scratch_file(const std::string& text = {}) : path_((folder_.path() / "file").string()) { write(text); }

    /// In the place of what it holds.
    void write(const std::string& text) const { std::ofstream{path_} << text; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    scratch_folder folder_;
    std::string path_;
};

} // namespace coir::test
