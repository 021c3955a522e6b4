#include "native.h"
PyMethodDef level_methods[] = {{NULL,NULL,0,NULL}};
