/// \file
/// The headers that nearly every test includes, compiled once a layer. A test still names what it uses: this is for speed
/// only, and nothing may depend on it.

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>
