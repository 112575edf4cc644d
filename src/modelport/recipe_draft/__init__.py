"""Drafts of recipes: a file for weights, a class, an ONNX file or a folder of Hugging Face."""

from modelport.recipe_draft.draft import Draft
from modelport.recipe_draft.input_shapes import recipe_for_shapes
from modelport.recipe_draft.source import draft_recipe

__all__ = ["Draft", "draft_recipe", "recipe_for_shapes"]
