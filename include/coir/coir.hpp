#pragma once

/// \file
/// All of coir.
#include <coir/cancelled.hpp>
#include <coir/context.hpp>
#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/endpoint.hpp>
#include <coir/fiber.hpp>
#include <coir/io.hpp>
#include <coir/overflow_report.hpp>
#include <coir/run.hpp>
#include <coir/spawn_site.hpp>
#include <coir/stack_report.hpp>
#include <coir/stack_size.hpp>
#include <coir/tcp_listener.hpp>
#include <coir/tcp_stream.hpp>
#include <coir/this_fiber.hpp>
