#pragma once

/// \file
/// Marks what libcoir.so exports. The library is built with hidden visibility: what does not carry the mark is not
/// part of the binary interface. The list of exported symbols is checked in as lib/exported_symbols.txt.
#if defined(__GNUC__)
#define COIR_EXPORT __attribute__((visibility("default")))
#else
#define COIR_EXPORT
#endif
