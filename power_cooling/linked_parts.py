"""A pipeline of Numba's for functions that only compiled ones call: types and code, but no machine code of their own.

Numba optimises every function with all that it calls linked in, and makes machine code of that, although a caller then
takes the function's code and does the same again: with calls ten deep, ten times. A part's code is handed on as it was
written down, and optimised where it ends up: once, in the function that Python calls.
"""

from typing import Any

from numba._dynfunc import make_function
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering


class _Linked(JITCodeLibrary):
    """Code that waits for a caller to be linked into."""

    def _optimize_final_module(self) -> None:
        """Leave that to the caller."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LinkedLowering(NativeLowering):
    _name = "lowering_of_linked_parts"

    def run_pass(self, state: Any) -> bool:
        state.library = _Linked(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        lowered = state["cr"]
        # Callers find a specialisation by its entry from Python, though this one leads nowhere.
        name = state.func_id.func_name
        entry = make_function(state.func_id.module, name, "", 0, lowered.env, (state.library,))
        state["cr"] = lowered._replace(cfunc=entry)
        state.targetctx.insert_user_function(entry, lowered.fndesc, [state.library])
        return True


class LinkedParts(CompilerBase):
    """The default pipeline, which ends in code to be linked."""

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("linked parts")
        stages = DefaultPassBuilder
        for stage in (
            stages.define_untyped_pipeline,
            stages.define_typed_pipeline,
            stages.define_nopython_lowering_pipeline,
        ):
            for step, described in stage(self.state).passes:
                passes.add_pass(_LinkedLowering if step is NativeLowering else step, described)
        passes.finalize()
        return [passes]
