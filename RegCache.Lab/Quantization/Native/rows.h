// The row kernels of one processor level.
#pragma once

#include "kernels.h"

namespace rc::RC_LEVEL {

void measure(const Rows &rows, Range *ranges);
int encode(const Rows &rows, const RowGrid *grids, const Codes &to);
void copy(const Rows &rows, void *to, int stride, bool narrow);
void finish(const Finish &tile);
void attend(const Head &head);

}  // namespace rc::RC_LEVEL
