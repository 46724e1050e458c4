#include "rows.h"

#define RC_TEXT(name) RC_TEXT_OF(name)
#define RC_TEXT_OF(name) #name

namespace rc::RC_LEVEL {

extern const Kernels all;
const Kernels all{RC_TEXT(RC_LEVEL), measure, encode, copy, finish, attend};

}  // namespace rc::RC_LEVEL
