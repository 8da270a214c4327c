/** The program: all contracts in one, with one state. */

import "./names";
import "./token";
