// Its own main: the CLI's library, which this binary links, holds the program's main, and a linker
// takes that one before GoogleTest's.
#include <gtest/gtest.h>

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
